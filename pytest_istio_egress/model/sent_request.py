"""What an external server receives of a probe if nothing on the path changes the request."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from pytest_istio_egress.model.probe import Probe

CLIENTS_PROTOCOL = "the client's"
"""In place of a protocol: the one that curl used, which it negotiates with the server where its TLS ends there."""

POD_PORTS = {80: 8080, 443: 8443, 444: 8444}
"""The ports of the external servers' pods where they differ from those of their Services (fixtures/outside.yaml)."""

PROTOCOLS = {"--http1.0": "HTTP/1.0", "--http1.1": "HTTP/1.1", "--http2-prior-knowledge": "HTTP/2.0"}
"""The protocol that an argument of curl selects, as the external server names it."""


def sent_request(probe: Probe) -> Mapping[str, str | None]:
    """Return the fields of the external server's report that follow from the probe; nothing for raw bytes.

    A rule that changes one of them (another host, TLS origination, another port) is what its case is about, and the
    case states that field itself.
    """
    url = urlsplit(probe.url)
    if url.scheme not in ("http", "https"):
        return {}
    encrypted = url.scheme == "https"
    return {
        "host": probe.authority,
        "method": "GET",
        "path": (url.path or "/") + (f"?{url.query}" if url.query else ""),
        "port": str(POD_PORTS.get(probe.port, probe.port)),
        "protocol": CLIENTS_PROTOCOL if encrypted else _protocol(probe),
        "server-name": probe.host if encrypted else None,
    }


def over_tls(server_name: str, port: int = 443) -> Mapping[str, str]:
    """Return the fields of the report that differ where an Envoy originates TLS for a probe with http://.

    `port` is that of the server's Service.
    """
    return {"port": str(POD_PORTS[port]), "server-name": server_name}


def _protocol(probe: Probe) -> str:
    """Return the protocol without TLS: a proxy that takes HTTP apart sends HTTP/1.1, as curl does by default."""
    return next((PROTOCOLS[argument] for argument in probe.arguments if argument in PROTOCOLS), "HTTP/1.1")
