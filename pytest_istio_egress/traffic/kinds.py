"""The kinds of steady traffic, and the clients that send them (fixtures/traffic/)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrafficClient:
    """A Deployment that sends some kinds of traffic."""

    name: str
    namespace: str
    """As its manifest names it."""
    manifest: str
    """The file with the client and the configuration of its kinds."""


SIDECAR_CLIENT = TrafficClient("client", "egress-client", "client.yaml")
GATEWAY_CLIENT = TrafficClient("gateway-client", "egress-client", "gateway.yaml")
AMBIENT_CLIENT = TrafficClient("ambient-client", "egress-ambient", "ambient.yaml")


@dataclass(frozen=True)
class Kind:
    """One kind of traffic."""

    name: str
    description: str
    client: TrafficClient = SIDECAR_CLIENT
    lasting: bool = False
    """Whether it is a long-lived connection instead of one request after another."""


KINDS = (
    Kind("http", "HTTP through a ServiceEntry"),
    Kind("tls", "TLS passthrough"),
    Kind("origination", "TLS origination by the sidecar"),
    Kind("tcp", "a TCP connection that lasts an hour", lasting=True),
    Kind("stream", "HTTP responses that last a minute", lasting=True),
    Kind("gateway-http", "HTTP through the egress gateway", GATEWAY_CLIENT),
    Kind("gateway-tls", "TLS passthrough through the egress gateway", GATEWAY_CLIENT),
    Kind(
        "gateway-stream", "HTTP responses that last a minute, through the egress gateway", GATEWAY_CLIENT, lasting=True
    ),
    Kind("ambient-http", "HTTP through a waypoint", AMBIENT_CLIENT),
    Kind("ambient-tls", "TLS passthrough through ztunnel", AMBIENT_CLIENT),
    Kind("ambient-tcp", "a TCP connection through ztunnel that lasts an hour", AMBIENT_CLIENT, lasting=True),
    Kind("ambient-stream", "HTTP responses that last a minute, through a waypoint", AMBIENT_CLIENT, lasting=True),
)
NAMES = tuple(kind.name for kind in KINDS)


def kind(name: str) -> Kind:
    """Return the kind of that name."""
    return next(kind for kind in KINDS if kind.name == name)
