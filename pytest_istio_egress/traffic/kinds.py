"""The kinds of steady traffic. fixtures/traffic/ has the clients that send them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of traffic."""

    name: str
    description: str
    lasting: bool = False
    """Whether it is a long-lived connection instead of one request after another."""
    gateway: bool = False
    """Whether it leaves through the egress gateway."""


KINDS = (
    Kind("http", "HTTP through a ServiceEntry"),
    Kind("tls", "TLS passthrough"),
    Kind("origination", "TLS origination by the sidecar"),
    Kind("tcp", "a TCP connection that lasts an hour", lasting=True),
    Kind("stream", "HTTP responses that last a minute", lasting=True),
    Kind("gateway-http", "HTTP through the egress gateway", gateway=True),
    Kind("gateway-tls", "TLS passthrough through the egress gateway", gateway=True),
    Kind("gateway-stream", "HTTP responses that last a minute, through the egress gateway", lasting=True, gateway=True),
)
NAMES = tuple(kind.name for kind in KINDS)


def kind(name: str) -> Kind:
    """Return the kind of that name."""
    return next(kind for kind in KINDS if kind.name == name)
