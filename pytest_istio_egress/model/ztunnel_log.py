"""ztunnel's access log: one line per connection that it has ended, in its plain format or as JSON.

    TIME <tab> LEVEL <tab> access <tab> connection complete <tab> src.addr=... dst.service="api.test" ... duration="3ms"

Texts are quoted as Rust's Debug does; a field that ztunnel has no value for is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_istio_egress.model.addresses import same_endpoint, without_port

_FIELD = re.compile(r'([\w.]+)=("(?:[^"\\]|\\.)*"|\S+)')
_DURATION = re.compile(r"(\d+)ms")
_TARGET = "access"
_MESSAGES = ("connection complete", "connection failed")
HBONE_PORT = 15008


@dataclass(frozen=True, kw_only=True)
class ZtunnelLine:
    """One line, in ztunnel's terms; a text is empty where the line lacks the field."""

    raw: str
    source: str
    """The client's address and port: src.addr."""
    destination: str
    """The address that ztunnel connected to: dst.addr, the waypoint's or the other ztunnel's with HBONE."""
    target: str = ""
    """The destination inside the tunnel: dst.hbone_addr."""
    service: str = ""
    """The host of the Service or ServiceEntry: dst.service."""
    workload: str = ""
    """dst.workload: of a request to a waypoint, the waypoint's pod."""
    identity: str = ""
    """The client's identity, src.identity: with HBONE only."""
    direction: str = ""
    error: str = ""
    milliseconds: int | None = None
    sent: int | None = None
    """Bytes that the client sent."""

    @property
    def downstream_remote(self) -> str:
        """The address by which the line of a connection is found, as in an Envoy's line."""
        return self.source

    @property
    def downstream_local(self) -> None:
        """None, as no line of ztunnel is looked for by the address that the client connected to."""
        return

    @property
    def user_agent(self) -> None:
        """None, as ztunnel does not read what it forwards."""
        return

    @property
    def hbone(self) -> bool:
        """Whether ztunnel used, or was to use, a tunnel."""
        return bool(self.target) or self.destination.endswith(f":{HBONE_PORT}")

    @property
    def upstream_address(self) -> str:
        """The address that ztunnel connected to, without its port."""
        return without_port(self.destination)


def parse_ztunnel_line(raw: str) -> ZtunnelLine | None:
    """Read one line of ztunnel's log; None for any line that is not an entry of its access log about an end."""
    fields = _of_json(raw) if raw.startswith("{") else _of_text(raw)
    if not fields or "src.addr" not in fields:
        return None
    duration, sent = _DURATION.fullmatch(fields.get("duration", "")), fields.get("bytes_sent", "")
    return ZtunnelLine(
        raw=raw.rstrip(),
        source=same_endpoint(fields["src.addr"]),
        destination=same_endpoint(fields.get("dst.addr", "")),
        target=same_endpoint(fields.get("dst.hbone_addr", "")),
        service=fields.get("dst.service", ""),
        workload=fields.get("dst.workload", ""),
        identity=fields.get("src.identity", ""),
        direction=fields.get("direction", ""),
        error=fields.get("error", ""),
        milliseconds=int(duration[1]) if duration else None,
        sent=int(sent) if sent.isdigit() else None,
    )


def _of_text(raw: str) -> Mapping[str, str]:
    parts = raw.rstrip().split("\t")
    if len(parts) < 5 or parts[2] != _TARGET or parts[3].strip('"') not in _MESSAGES:
        return {}
    return {name: _unquoted(value) for name, value in _FIELD.findall("\t".join(parts[4:]))}


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _of_json(raw: str) -> Mapping[str, str]:
    try:
        entry = json.loads(raw)
    except json.JSONDecodeError:
        return {}
    if not isinstance(entry, dict) or entry.get("scope") != _TARGET or entry.get("message") not in _MESSAGES:
        return {}
    return {name: str(value) for name, value in entry.items()}
