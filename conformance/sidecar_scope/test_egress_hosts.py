"""The egress hosts of a Sidecar: entries that are exported to its namespace and that it names.

              exported here   named by the Sidecar   REGISTRY_ONLY          ALLOW_ANY
own           yes             yes                    200                    200
shown         yes             yes                    200                    200
kept          no              yes                    502                    200, as unknown traffic
left-out      yes             no                     502                    200, as unknown traffic
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_http, documented, get, reached

PAGE = "reference/config/networking/sidecar/"


UNKNOWN = reached(cluster="PassthroughCluster", route="allow_any")


@documented(
    source=f"{PAGE}#IstioEgressListener",
    summary="With REGISTRY_ONLY only hosts that are exported to the namespace and listed in its Sidecar are reached",
    outcomes=["sidecar/service-entry-in-scope-reached", "sidecar/not-exported-blocked", "sidecar/registry-only-limits"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://own-of-scope.test/headers"), reached(), id="own"),
        pytest.param(get("http://shown.test/headers"), reached(), id="named-and-exported"),
        pytest.param(get("http://kept.test/headers"), blocked_http(), id="named-but-not-exported"),
        pytest.param(get("http://left-out.test/headers"), blocked_http(), id="exported-but-not-named"),
    ],
)
def test_host_left_out_with_registry_only_blocked(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=f"{PAGE}#OutboundTrafficPolicy",
    summary="With ALLOW_ANY a host that the Sidecar does not list is still reached, through PassthroughCluster",
    manifests=["egress_hosts.yaml", "egress_hosts_allow_any.yaml"],
    outcomes=["sidecar/allow-any-does-not-limit", "sidecar/registry-only-limits"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://own-of-scope.test/headers"), reached(), id="own"),
        pytest.param(get("http://kept.test/headers"), UNKNOWN, id="named-but-not-exported"),
        pytest.param(get("http://left-out.test/headers"), UNKNOWN, id="exported-but-not-named"),
    ],
)
def test_host_left_out_with_allow_any_passed_through(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
