"""Compares the observed exchange with the expected outcome, hop by hop and field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.difference import Difference, HopName
from pytest_istio_egress.model.outcome import Hop, Outcome
from pytest_istio_egress.model.sent_request import CLIENTS_PROTOCOL
from pytest_istio_egress.verdict.duration import too_early, too_late
from pytest_istio_egress.verdict.outcome_text import as_text
from pytest_istio_egress.verdict.verdict import Exchange


def compare(expected: Outcome, exchange: Exchange) -> tuple[Difference, ...]:
    """Return every difference, the most significant one first; an empty tuple where there is none."""
    return (
        *_curl(expected, exchange),
        *_sidecar(expected, exchange),
        *_ztunnel(expected, exchange),
        *_waypoint(expected, exchange),
        *_gateway(expected, exchange),
        *_forward_proxy(expected, exchange),
        *_server(expected, exchange),
        *_response(expected, exchange),
    )


def _differ(hop: HopName, field: str, expected: object, seen: object) -> Iterator[Difference]:
    if expected != seen:
        yield Difference(hop, field, as_text(expected), as_text(seen))


def _curl(expected: Outcome, exchange: Exchange) -> Iterator[Difference]:
    curl = exchange.curl
    if expected.status is not None or 0 not in expected.exits:
        yield from _differ("client", exchange.probe.status_name, expected.status, curl.status or None)
    if curl.exit not in expected.exits:
        error = f" ({curl.error})" if curl.error else ""
        yield Difference("client", "curl exit code", as_text(expected.exits), f"{curl.exit}{error}")


def _sidecar(expected: Outcome, exchange: Exchange) -> Iterator[Difference]:
    if expected.sidecar:
        if exchange.sidecar is None:
            yield Difference("sidecar", "access log", "a line for this connection", "none")
        else:
            yield from _log_line("sidecar", expected.sidecar_hop, exchange.sidecar)
        return
    if exchange.sidecar is not None:
        yield Difference("sidecar", "access log", "no line, because the sidecar is bypassed", exchange.sidecar.raw)
    headers = ", ".join(exchange.envoy_headers) or None
    if expected.waypoint is None:
        yield from _differ("sidecar", "headers that Envoy added to the response", None, headers)


def _ztunnel(expected: Outcome, exchange: Exchange) -> Iterator[Difference]:
    wanted, line = expected.ztunnel, exchange.ztunnel
    if wanted is None:
        if line is not None and not expected.sidecar and not exchange.probe.from_own_workload:
            yield Difference("ztunnel", "access log", "no line, because the pod is not captured", line.raw)
        return
    if line is None:
        yield Difference("ztunnel", "access log", "a line for this connection", "none")
        return
    if wanted.service is not None:
        yield from _differ("ztunnel", "destination service", wanted.service or None, line.service or None)
    if wanted.hbone is not None:
        yield from _differ("ztunnel", "tunnel (HBONE)", _yes(wanted.hbone), _yes(line.hbone))
    if bool(wanted.error) != bool(line.error) or wanted.error not in line.error:
        yield Difference("ztunnel", "error", f"...{wanted.error}..." if wanted.error else "none", line.error or "none")


def _yes(value: bool) -> str:  # noqa: FBT001  # the one value that it puts into words
    return "yes" if value else "no"


def _waypoint(expected: Outcome, exchange: Exchange) -> Iterator[Difference]:
    if expected.waypoint is None:
        return
    if exchange.waypoint is None:
        yield Difference("waypoint", "access log", "a line for this request", "none")
    else:
        yield from _log_line("waypoint", expected.waypoint, exchange.waypoint)


def _gateway(expected: Outcome, exchange: Exchange) -> Iterator[Difference]:
    if expected.gateway is None:
        return
    if exchange.gateway is None:
        if not _next_line_unknown(exchange):
            yield Difference("egress gateway", "access log", "a line for this request", "none")
    else:
        yield from _log_line("egress gateway", expected.gateway, exchange.gateway)


def _forward_proxy(expected: Outcome, exchange: Exchange) -> Iterator[Difference]:
    if expected.proxy is None:
        return
    if exchange.proxy is None:
        if not _next_line_unknown(exchange):
            yield Difference("forward proxy", "access log", "a line for this connection", "none")
    else:
        yield from _log_line("forward proxy", expected.proxy, exchange.proxy)


def unknown_fields(expected: Outcome, exchange: Exchange) -> tuple[str, ...]:
    """Return the fields of access logs that are expected, but which the format of a log does not have."""
    hops: tuple[tuple[HopName, Hop | None, AccessLogLine | None], ...] = (
        ("sidecar", expected.sidecar_hop if expected.sidecar else None, exchange.sidecar),
        ("waypoint", expected.waypoint, exchange.waypoint),
        ("egress gateway", expected.gateway, exchange.gateway),
        ("forward proxy", expected.proxy, exchange.proxy),
    )
    unknown = [
        f"{name} {field}"
        for name, hop, line in hops
        if hop is not None and line is not None
        for field, (wanted, seen) in _fields(hop, line).items()
        if wanted is not None and seen is None
    ]
    missing = (expected.gateway and not exchange.gateway) or (expected.proxy and not exchange.proxy)
    return (*unknown, "sidecar upstream local address") if missing and _next_line_unknown(exchange) else tuple(unknown)


def _next_line_unknown(exchange: Exchange) -> bool:
    """Whether the sidecar's line has no address by which the next Envoy's line could be found."""
    return exchange.sidecar is not None and exchange.sidecar.forwarded is None


def _fields(expected: Hop, line: AccessLogLine) -> dict[str, tuple[object, str | int | None]]:
    """Return the expected and the logged value of each field, None for one that is not expected, or not known."""
    return {
        "upstream cluster": (expected.cluster, line.cluster),
        "response flags": (expected.flags, line.flags),
        "response code details": (expected.details, line.details),
        "route": (expected.route, line.route),
        "protocol": (expected.protocol, line.protocol),
        "status": (expected.status, line.status),
        "method": (expected.method, line.method),
        "authority": (expected.authority, line.authority),
        "requested server name": (expected.server_name, line.server_name),
        "upstream transport failure": (expected.failure, line.failure),
        "connection termination details": (expected.termination, line.termination),
    }


def _log_line(name: HopName, expected: Hop, line: AccessLogLine) -> Iterator[Difference]:
    for field, (wanted, seen) in _fields(expected, line).items():
        if wanted is None or seen is None or (isinstance(wanted, frozenset) and seen in wanted):
            continue
        if field != "upstream transport failure":
            yield from _differ(name, field, wanted, seen)
        elif str(wanted) not in str(seen):
            yield Difference(name, field, f"...{wanted}...", str(seen))


def _server(expected: Outcome, exchange: Exchange) -> Iterator[Difference]:
    if not exchange.probe.from_own_workload:  # hosts of the user's own do not report who they are
        yield from _differ("external server", "that answered", expected.reached, exchange.server_saw("server"))
    if expected.reached is None or exchange.server_saw("server") is not None:  # else nothing arrived, as just said
        for fact, wanted in expected.server_saw.items():
            stated = _clients_protocol(exchange) if wanted == CLIENTS_PROTOCOL else wanted
            yield from _differ("external server", fact, stated, exchange.server_saw(fact))
    if expected.source is not None:
        yield from _source_address(expected.source, exchange)
    if expected.request_headers:
        yield from _request_headers(expected.request_headers, exchange.curl.body)


def _clients_protocol(exchange: Exchange) -> str:
    """Return the protocol that curl used, as the external server names it."""
    return "HTTP/2.0" if exchange.curl.http_version == "2" else f"HTTP/{exchange.curl.http_version}"


def _source_address(expected: str, exchange: Exchange) -> Iterator[Difference]:
    address = exchange.source
    if address not in exchange.addresses.get(expected, frozenset()):
        owner = next((name for name, own in exchange.addresses.items() if address in own), "unknown")
        yield Difference("external server", "source address", f"the {expected}'s", f"{address} ({owner})")


def _request_headers(expected: Mapping[str, str | None], body: str) -> Iterator[Difference]:
    received = request_headers(body)
    if received is None:
        yield Difference("external server", "request headers", "a body that lists them", "another body")
        return
    for name, value in expected.items():
        yield from _header("external server", f"request header {name}", value, received.get(name.lower()))


def request_headers(body: str) -> Mapping[str, str] | None:
    """Return the request headers that go-httpbin lists (/headers, /get, /anything); None for any other body.

    Names are in lower case; several values of a header are joined by a comma.
    """
    try:
        headers = json.loads(body)["headers"]
    except (ValueError, KeyError, TypeError):
        return None
    return {name.lower(): ", ".join(values) for name, values in headers.items()}


def _response(expected: Outcome, exchange: Exchange) -> Iterator[Difference]:
    curl = exchange.curl
    for name, value in expected.response_headers.items():
        yield from _header("client", f"response header {name}", value, curl.headers.get(name.lower()))
    if exchange.probe.receive not in curl.body and 0 in expected.exits:
        yield Difference("client", "received bytes", f"...{exchange.probe.receive}...", repr(curl.body[:120]))
    if expected.body is not None and expected.body not in curl.body:
        yield Difference("client", "response body", f"...{expected.body}...", repr(curl.body[:120]))
    if expected.connected_to is not None:
        yield from _differ("client", "address that curl connected to", expected.connected_to, curl.remote_address)
    if expected.seconds is not None:
        yield from _duration(expected.seconds, exchange)


def _duration(documented: float, exchange: Exchange) -> Iterator[Difference]:
    if too_early(documented, exchange):
        yield Difference("client", "duration", f"at least {documented:g} s", f"{exchange.seconds:g} s")
    if too_late(documented, exchange):
        seen = f"{exchange.seconds:g} s, of which {exchange.overhead:.2g} s may be overhead"
        yield Difference("client", "duration", f"{documented:g} s", seen)


def _header(hop: HopName, field: str, wanted: str | None, seen: str | None) -> Iterator[Difference]:
    if wanted == "*" and seen is not None:  # any value: only its presence is documented
        return
    yield from _differ(hop, field, wanted, seen)
