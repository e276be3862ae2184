"""The kinds of traffic that are kept going; how each goes stands in fixtures/traffic/."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind. `lasting`: what is asked for is a connection that stays, not one request after the other."""

    name: str
    says: str
    lasting: bool = False
    gateway: bool = False


KINDS = (
    Kind("http", "HTTP through a ServiceEntry"),
    Kind("tls", "TLS passthrough"),
    Kind("origination", "TLS origination by the sidecar"),
    Kind("tcp", "a TCP connection that lasts an hour", lasting=True),
    Kind("stream", "HTTP answers that last a minute", lasting=True),
    Kind("gateway-http", "HTTP through the egress gateway", gateway=True),
    Kind("gateway-tls", "TLS passthrough through the egress gateway", gateway=True),
    Kind("gateway-stream", "HTTP answers that last a minute, through the egress gateway", lasting=True, gateway=True),
)
NAMES = tuple(kind.name for kind in KINDS)


def kind(name: str) -> Kind:
    """Return the kind of that name."""
    return next(kind for kind in KINDS if kind.name == name)
