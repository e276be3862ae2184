"""Two tenants use the shared egress gateway; neither can reach the other's host.

egress-client:    tenant-first.test  -> gateway -> outside      tenant-second.test -> 502
egress-neighbour: tenant-second.test -> gateway -> outside      tenant-first.test  -> 502"""

import pytest

from pytest_istio_egress import NEIGHBOUR, Egress, Hop, Outcome, Probe, blocked_http, documented, get, outbound, reached

TO_THE_GATEWAY = outbound("istio-egressgateway.istio-system.svc.cluster.local")


def through_the_gateway(host: str) -> Outcome:
    return reached(cluster=TO_THE_GATEWAY, gateway=Hop(cluster=outbound(host), status=200), source="gateway")


@documented(
    source="tasks/traffic-management/egress/egress-gateway/#egress-gateway-for-http-traffic",
    summary="Tenants that export their entries to themselves and the gateway only cannot reach each other's hosts",
    requires=["egress-gateway"],
    fixtures=["neighbour_client.yaml"],
    outcomes=["egress-gateway/tenants-isolated", "virtual-service/gateway-mesh-applies-to-sidecars"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://tenant-first.test/headers"), through_the_gateway("tenant-first.test"), id="first-tenant"
        ),
        pytest.param(
            get("http://tenant-second.test/headers", client=NEIGHBOUR),
            through_the_gateway("tenant-second.test"),
            id="second-tenant",
        ),
        pytest.param(get("http://tenant-second.test/headers"), blocked_http(), id="first-tenant-to-host-of-second"),
        pytest.param(
            get("http://tenant-first.test/headers", client=NEIGHBOUR),
            blocked_http(),
            id="second-tenant-to-host-of-first",
        ),
    ],
)
def test_tenants_at_shared_gateway_isolated(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
