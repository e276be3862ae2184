"""The client's own TLS passes the gateway, which routes it by server name.

curl --SNI--> sidecar -> istio-egressgateway:443 (PASSTHROUGH) -> outside:443
"""

import pytest

from pytest_istio_egress import Egress, Hop, Outcome, Probe, blocked_tls, documented, get, outbound, reached


@documented(
    source="tasks/traffic-management/egress/egress-gateway/#egress-gateway-for-https-traffic",
    summary="TLS is routed through the gateway by server name and terminated by the external host",
    requires=["egress-gateway"],
    outcomes=["egress-gateway/tls-passthrough-by-server-name"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("https://passthrough.test/headers"),
            reached(
                cluster=outbound("istio-egressgateway.istio-system.svc.cluster.local", 443),
                gateway=Hop(cluster=outbound("passthrough.test", 443), server_name="passthrough.test"),
                source="gateway",
                server_saw={"server-name": "passthrough.test"},
            ),
            id="through-the-gateway",
        ),
        pytest.param(
            get("https://past-the-gateway.test/headers"),
            reached(source="client"),
            id="a-server-name-without-a-rule",
        ),
        pytest.param(
            get("https://not-passthrough.test/headers"),
            blocked_tls(),
            id="an-unknown-server-name",
        ),
    ],
)
def test_tls_at_gateway_routed_by_server_name(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
