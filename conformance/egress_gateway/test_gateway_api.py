"""An egress gateway with the Gateway API: one route has the ServiceEntry as parent, one the Gateway.

curl -> sidecar: route of the entry -> gateway-api-istio: route of the Gateway -> outside
"""

import pytest

from pytest_istio_egress import (
    Egress,
    Hop,
    Outcome,
    Probe,
    blocked_http,
    documented,
    get,
    outbound,
    reached,
)

GATEWAY = "gateway-api.egress-client"
SERVICE = "gateway-api-istio.egress-client.svc.cluster.local"


@documented(
    source="tasks/traffic-management/egress/egress-gateway/#egress-gateway-for-http-traffic",
    summary="Two HTTPRoutes, with the ServiceEntry and the Gateway as parents, route HTTP through the gateway",
    requires=["gateway-api"],
    outcomes=["egress-gateway/http-route-200"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://gateway-api.test/headers"),
            reached(
                cluster=outbound(SERVICE),
                gateway=Hop(at=GATEWAY, cluster=outbound("gateway-api.test"), status=200),
                source="gateway",
            ),
            id="http",
        ),
        pytest.param(get("http://not-gateway-api.test/headers"), blocked_http(), id="another-host"),
    ],
)
def test_http_route_at_gateway_reaches_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
