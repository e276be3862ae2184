"""A Sidecar without an egress list: the scope is everything exported, and the policy still applies."""

import pytest

from pytest_istio_egress import CLIENT, Egress, Outcome, Probe, blocked_http, documented, get, reached

PAGE = "reference/config/networking/sidecar/"


@documented(
    source=PAGE,
    summary="With a Sidecar without an egress list, all exported hosts are reached, and its REGISTRY_ONLY policy "
    "blocks the others",
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
    summary="A Sidecar without an egress list keeps the Services of other namespaces in the proxy's configuration",
    manifests=["without_egress.yaml"],
    outcomes=["sidecar/without-egress-all-exported"],
)
def test_sidecar_without_egress_keeps_all_services(egress: Egress) -> None:
    egress.check("presence of the Service's cluster without an egress list", has_cluster(egress), expected=True)
    egress.apply("without_egress_then_listed.yaml")
    egress.check("presence of the Service's cluster with an egress list", has_cluster(egress), expected=False)


def has_cluster(egress: Egress) -> bool:
    service = egress.in_cluster("elsewhere.egress-neighbour.svc.cluster.local")
    return (service, "80") in egress.config(CLIENT).outbound()
