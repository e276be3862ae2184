"""HTTP/2 ends at the gateway if the ServiceEntry's port is HTTP.

curl --HTTP/2--> sidecar --HTTP/2, by the gateway's port--> istio-egressgateway:80 --HTTP/1.1--> outside
"""

import pytest

from pytest_istio_egress import Egress, Hop, Probe, documented, get, outbound, reached

THROUGH_THE_GATEWAY = reached(
    cluster=outbound("istio-egressgateway.istio-system.svc.cluster.local"),
    gateway=Hop(cluster=outbound("http2-client.test"), status=200),
    source="gateway",
    server_saw={"protocol": "HTTP/1.1"},
)


@documented(
    source="ops/configuration/traffic-management/protocol-selection/",
    summary="The gateway uses the protocol of the ServiceEntry's port, HTTP/1.1, for clients with HTTP/1.1 and HTTP/2",
    requires=["http-1.1-upstream", "egress-gateway"],
    outcomes=["egress-gateway/http2-arrives-as-http1"],
)
@pytest.mark.parametrize(
    ("arguments", "protocol"),
    [
        pytest.param(["--http2-prior-knowledge"], "HTTP/2", id="http2"),
        pytest.param(["--http1.1"], "HTTP/1.1", id="http1"),
    ],
)
def test_http2_request_arrives_as_http1(egress: Egress, arguments: list[str], protocol: str) -> None:
    probe: Probe = get("http://http2-client.test/headers", arguments=arguments)
    verdict = egress.expect(probe, THROUGH_THE_GATEWAY)
    line = verdict.exchange.sidecar
    egress.check("protocol between client and sidecar", line.protocol if line else None, protocol)
