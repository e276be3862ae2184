"""A DestinationRule's tunnel at an egress gateway: three ways into the gateway, four from it to the proxy.

curl -> sidecar --TCP, mutual TLS or passthrough--> gateway --CONNECT outside:9000 or :443--> forward proxy -> outside
        line 1                                      line 2                                    line 3
"""

import pytest

from pytest_istio_egress import Egress, Hop, Outcome, Probe, blackholed, documented, tcp, tls

SECOND = "192.0.2.81"
FIXTURES = ("gateway.yaml", "forward_proxy.yaml")
PAGE = "reference/config/networking/destination-rule/#TrafficPolicy-TunnelSettings"
EXIT = "exit-tunnels.egress-gateway.svc.cluster.local"
WAYS = {
    "http1": (9101, 9201, 3128, "HTTP/1.1"),
    "http1-tls": (9102, 9202, 3129, "HTTP/1.1"),
    "http2": (9103, 9203, 4128, "HTTP/2"),
    "http2-tls": (9104, 9204, 4129, "HTTP/2"),
}
"""How the gateway speaks to the proxy: its ports for plain and for TLS, the proxy's port, the protocol in its log."""


def tunnelled(to_exit: str, proxy_port: int, protocol: str, subset: str) -> Outcome:
    target = {"tcp": 9000, "tls": 443}[subset]
    return Outcome(
        status=200,
        reached="outside",
        cluster=to_exit,
        gateway=Hop(at="exit.egress-gateway", cluster=f"outbound|{proxy_port}|{subset}|tunnel-at-gateway.test"),
        proxy=Hop(
            method="CONNECT",
            authority=f"outside.egress-outside.svc.cluster.local:{target}",
            protocol=protocol,
            status=200,
        ),
        source="proxy",
    )


def ways(*, passthrough: bool) -> list[object]:
    """All that the client sends; a gateway that passes TLS on has one port, and sees TLS only."""
    found: list[object] = []
    for way, (plain_port, secured_port, proxy_port, protocol) in WAYS.items():
        host = f"{way}-at-gateway.test"
        plain_hop = f"outbound|9443|{way}|{EXIT}" if passthrough else f"outbound|{plain_port}||{EXIT}"
        secured_hop = f"outbound|9443||{EXIT}" if passthrough else f"outbound|{secured_port}||{EXIT}"
        plain = tunnelled(plain_hop, proxy_port, protocol, "tls" if passthrough else "tcp")
        secured = tunnelled(secured_hop, proxy_port, protocol, "tls")
        found += [
            pytest.param(tcp(host, plain_port, to=SECOND), plain, id=f"{way}-plain"),
            pytest.param(tls(f"https://{host}/headers", to=SECOND), secured, id=f"{way}-tls"),
        ]
    return [*found, pytest.param(tcp("http1-at-gateway.test", 9105, to=SECOND), blackholed(), id="another-port")]


@documented(
    at=PAGE,
    says="A tunnel in a DestinationRule sends what a TCP server of a gateway takes by CONNECT through a forward proxy",
    manifests=["gateway_proxy.yaml", "gateway_routes.yaml", "gateway_tcp.yaml"],
    fixtures=FIXTURES,
    rows=["D8"],
)
@pytest.mark.parametrize(("probe", "expected"), ways(passthrough=False))
def test_tcp(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    at=PAGE,
    says="A tunnel in a DestinationRule sends on what reaches a gateway inside mutual TLS",
    manifests=["gateway_proxy.yaml", "gateway_routes.yaml", "gateway_istio_mutual.yaml"],
    fixtures=FIXTURES,
    rows=["D8"],
)
@pytest.mark.parametrize(("probe", "expected"), ways(passthrough=False))
def test_istio_mutual(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    at=PAGE,
    says="A tunnel in a DestinationRule sends on the TLS that a gateway passes through by its server name",
    manifests=["gateway_proxy.yaml", "gateway_passthrough.yaml"],
    fixtures=FIXTURES,
    rows=["D8"],
)
@pytest.mark.parametrize(("probe", "expected"), ways(passthrough=True))
def test_passthrough(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
