"""An egress gateway with the Gateway API for TLS: one route has the ServiceEntry as parent, one the Gateway.

curl --SNI--> sidecar: route of the entry -> tls-route-istio: route of the Gateway -> outside:443
"""

import pytest

from pytest_istio_egress import Egress, Hop, Outcome, Probe, blocked_tls, documented, get, outbound, reached

GATEWAY = "tls-route.egress-client"
SERVICE = "tls-route-istio.egress-client.svc.cluster.local"


@documented(
    source="tasks/traffic-management/egress/egress-gateway/#egress-gateway-for-https-traffic",
    summary="Two TLSRoutes, with the ServiceEntry and the Gateway as parents, route TLS through it by server name",
    requires=["tls-route"],
    outcomes=["egress-gateway/tls-passthrough-by-server-name"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("https://tls-route.test/headers"),
            reached(
                cluster=outbound(SERVICE, 443),
                gateway=Hop(at=GATEWAY, cluster=outbound("tls-route.test", 443), server_name="tls-route.test"),
                source="gateway",
                server_saw={"server-name": "tls-route.test"},
            ),
            id="tls",
        ),
        pytest.param(
            get("https://not-tls-route.test/headers"),
            blocked_tls(),
            id="another-server-name",
        ),
    ],
)
def test_tls_route_at_gateway_reaches_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
