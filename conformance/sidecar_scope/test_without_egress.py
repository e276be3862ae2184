"""A Sidecar without an egress list: the scope is all that is exported, the policy still holds."""

import pytest

from pytest_istio_egress import CLIENT, Egress, Outcome, Probe, blocked_http, documented, get, reached

PAGE = "reference/config/networking/sidecar/"


@documented(
    source=PAGE,
    summary="A Sidecar that lists no egress knows all that is exported to its namespace, and its policy "
    "blocks the rest",
    outcomes=["sidecar/without-egress-all-exported"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://own-without-list.test/headers"),
            reached(),
            id="own",
        ),
        pytest.param(
            get("http://shown-without-list.test/headers"),
            reached(),
            id="exported",
        ),
        pytest.param(get("http://kept-without-list.test/headers"), blocked_http(), id="not-exported"),
    ],
)
def test_sidecar_without_egress_reaches_exported_hosts(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=PAGE,
    summary="A Sidecar that lists no egress leaves the Services of other namespaces in the sidecar's configuration",
    manifests=["without_egress.yaml"],
    outcomes=["sidecar/without-egress-all-exported"],
)
def test_sidecar_without_egress_keeps_all_services(egress: Egress) -> None:
    egress.check("whether the proxy knows the API server without a list", knows_the_api(egress), expected=True)
    egress.apply("without_egress_then_listed.yaml")
    egress.check("whether it does with a list", knows_the_api(egress), expected=False)


def knows_the_api(egress: Egress) -> bool:
    return ("kubernetes.default.svc.cluster.local", "443") in egress.config(CLIENT).outbound()
