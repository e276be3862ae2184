"""A DestinationRule's tunnel at an egress gateway: three ways to the gateway, four from there to the proxy.

curl -> sidecar --TCP, mutual TLS or passthrough--> gateway --CONNECT outside:9000 or :443--> forward proxy -> outside
        line 1                                      line 2                                    line 3
"""

from collections.abc import Callable

import pytest

from pytest_istio_egress import Egress, Hop, Outcome, Probe, blocked_tcp, documented, get, outbound, reached, tcp

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
"""Gateway to proxy: the gateway's ports for plain bytes and TLS, the proxy's port, the protocol in its log."""
Test = Callable[[Egress, Probe, Outcome], None]


def tunneled(to_exit: str, proxy_port: int, protocol: str, subset: str, host: str) -> Outcome:
    target, port, server_name = {"tcp": (9000, "9000", None), "tls": (443, "8443", host)}[subset]
    return reached(
        cluster=to_exit,
        gateway=Hop(at="exit.egress-gateway", cluster=outbound("tunnel-at-gateway.test", proxy_port, subset=subset)),
        proxy=Hop(
            method="CONNECT",
            authority=f"outside.egress-outside.svc.cluster.local:{target}",
            protocol=protocol,
            status=200,
        ),
        source="proxy",
        server_saw={"port": port, "server-name": server_name},
    )


def tunnels(summary: str, manifests: list[str], plain: str, secured: str, plain_as: str) -> Callable[[Test], Test]:
    """Declare the test of one way to the gateway, with the parameters for all ways to the proxy.

    `plain` and `secured` are the sidecar's clusters for the client's plain bytes and for its TLS; `plain_as` is the
    gateway's subset for the first, which may reach it as TLS.
    """
    parameters = []
    for way, (plain_port, secured_port, proxy_port, protocol) in WAYS.items():
        host = f"{way}-at-gateway.test"
        to_exit = plain.format(port=plain_port, way=way), secured.format(port=secured_port, way=way)
        parameters += [
            pytest.param(
                tcp(host, plain_port, to=SECOND),
                tunneled(to_exit[0], proxy_port, protocol, plain_as, host),
                id=f"{way}-plain",
            ),
            pytest.param(
                get(f"https://{host}/headers", to=SECOND),
                tunneled(to_exit[1], proxy_port, protocol, "tls", host),
                id=f"{way}-tls",
            ),
        ]
    parameters.append(pytest.param(tcp("http1-at-gateway.test", 9105, to=SECOND), blocked_tcp(), id="another-port"))

    def declare(test: Test) -> Test:
        declared = documented(
            source=PAGE,
            summary=summary,
            manifests=["gateway_proxy.yaml", *manifests],
            fixtures=FIXTURES,
            outcomes=["forward-proxy/tunnel-connect"],
        )(test)
        return pytest.mark.parametrize(("probe", "expected"), parameters)(declared)

    return declare


A_PORT_PER_WAY = {
    "plain": f"outbound|{{port}}||{EXIT}",
    "secured": f"outbound|{{port}}||{EXIT}",
    "plain_as": "tcp",
}


@tunnels(
    "A tunnel in a DestinationRule sends a gateway's TCP traffic through a forward proxy with CONNECT",
    ["gateway_routes.yaml", "gateway_tcp.yaml"],
    **A_PORT_PER_WAY,
)
def test_tcp_at_gateway_tunneled(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@tunnels(
    "A tunnel in a DestinationRule sends traffic that reaches a gateway inside mutual TLS through a forward proxy",
    ["gateway_routes.yaml", "gateway_istio_mutual.yaml"],
    **A_PORT_PER_WAY,
)
def test_istio_mutual_at_gateway_tunneled(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@tunnels(
    "A tunnel in a DestinationRule sends TLS that a gateway routes by server name through a forward proxy",
    ["gateway_passthrough.yaml"],
    plain=outbound(EXIT, 9443, subset="{way}"),
    secured=outbound(EXIT, 9443),
    plain_as="tls",
)
def test_passthrough_at_gateway_tunneled(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
