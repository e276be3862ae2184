"""A DestinationRule's tunnel: the sidecar wraps the client's connection in CONNECT, without the client's involvement.

curl -> sidecar --CONNECT outside:9000 or outside:443--> forward proxy -> outside

HTTP/1.1 and HTTP/2 (by the protocol of the proxy's port), plain and in TLS; plain bytes and TLS inside.
"""

import pytest

from pytest_istio_egress import Egress, Hop, Outcome, Probe, blocked_tcp, documented, get, outbound, reached, tcp

SECOND = "192.0.2.81"
WAYS = {
    "http1": (9101, 3128, "HTTP/1.1"),
    "http1-tls": (9102, 3129, "HTTP/1.1"),
    "http2": (9103, 4128, "HTTP/2"),
    "http2-tls": (9104, 4129, "HTTP/2"),
}
"""Sidecar to proxy: the client's port, the proxy's port, the protocol in the proxy's log."""


def tunneled(proxy_port: int, protocol: str, subset: str, target: int) -> Outcome:
    return reached(
        cluster=outbound("tunnel.test", proxy_port, subset=subset),
        proxy=Hop(
            method="CONNECT",
            authority=f"outside.egress-outside.svc.cluster.local:{target}",
            protocol=protocol,
            status=200,
        ),
        source="proxy",
        server_saw={"port": {9000: "9000", 443: "8443"}[target]},
    )


def ways() -> list[object]:
    parameters: list[object] = []
    for way, (port, proxy_port, protocol) in WAYS.items():
        host = f"{way}-tunnelled.test"
        plain = tunneled(proxy_port, protocol, "tcp", 9000)
        secured = tunneled(proxy_port, protocol, "tls", 443)
        parameters += [
            pytest.param(tcp(host, port, to=SECOND), plain, id=f"{way}-plain"),
            pytest.param(get(f"https://{host}/headers", to=SECOND), secured, id=f"{way}-tls"),
        ]
    return parameters


@documented(
    source="reference/config/networking/destination-rule/#TrafficPolicy-TunnelSettings",
    summary="A tunnel in a DestinationRule sends a sidecar's TCP and TLS traffic through a forward proxy with CONNECT",
    fixtures=["forward_proxy.yaml"],
    outcomes=["forward-proxy/tunnel-connect"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        *ways(),
        pytest.param(tcp("http1-tunnelled.test", 9105, to=SECOND), blocked_tcp(), id="port-without-a-tunnel"),
    ],
)
def test_tcp_and_tls_at_sidecar_tunneled(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
