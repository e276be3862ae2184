"""A ServiceEntry with fixed endpoints: the address that the client connects to has no effect.

curl (to 192.0.2.80) -> sidecar -> endpoint 192.0.2.81"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_http, documented, get, outbound, reached

CLUSTER = outbound("static.test")


@documented(
    source="reference/config/networking/service-entry/#ServiceEntry-Resolution",
    summary="With resolution STATIC requests go to the entry's endpoints, whatever address the client connects to",
    outcomes=["service-entry/resolution-static-cluster"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://static.test/headers"), reached("second"), id="listed"),
        pytest.param(get("http://not-static.test/headers"), blocked_http(), id="another-host"),
    ],
)
def test_static_entry_routed_to_endpoints(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="reference/config/networking/service-entry/#ServiceEntry-Resolution",
    summary="A ServiceEntry with resolution STATIC becomes a cluster of type EDS",
    manifests=["static_endpoints.yaml"],
    # Before, the cluster was of type STATIC; today istiod sends the endpoints separately (EDS).
    outcomes=["service-entry/resolution-static-cluster"],
)
def test_static_entry_becomes_eds_cluster(egress: Egress) -> None:
    cluster = egress.config().cluster(egress.in_cluster(CLUSTER))
    egress.check("cluster's type", cluster and cluster.type, "EDS")
