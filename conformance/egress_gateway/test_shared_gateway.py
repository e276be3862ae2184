"""A tenant's traffic leaves the mesh through the shared egress gateway.

curl -> sidecar -> istio-egressgateway:80 -> outside
        line 1     line 2, same x-request-id   sees the gateway's address
"""

import pytest

from pytest_istio_egress import Egress, Hop, Outcome, Probe, blocked_http, documented, get, outbound, reached

TO_THE_GATEWAY = outbound("istio-egressgateway.istio-system.svc.cluster.local")


@documented(
    source="tasks/traffic-management/egress/egress-gateway/#egress-gateway-for-http-traffic",
    summary="A VirtualService routes a host's traffic through the egress gateway, whose address is the source that "
    "the host sees",
    requires=["egress-gateway"],
    outcomes=[
        "egress-gateway/routed-200",
        "egress-gateway/slow-host-200",
        "egress-gateway/traffic-leaves-at-gateway",
        "egress-gateway/source-address-of-gateway",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://via-gateway.test/headers"),
            reached(
                cluster=TO_THE_GATEWAY, gateway=Hop(cluster=outbound("via-gateway.test"), status=200), source="gateway"
            ),
            id="through-the-gateway",
        ),
        pytest.param(
            get("http://via-gateway.test/delay/1"),
            reached(
                cluster=TO_THE_GATEWAY,
                gateway=Hop(cluster=outbound("via-gateway.test"), status=200),
                source="gateway",
                seconds=1.0,
            ),
            id="slow-answer-through-the-gateway",
        ),
        pytest.param(get("http://not-via-gateway.test/headers"), blocked_http(), id="another-host"),
    ],
)
def test_host_with_route_leaves_by_gateway(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
