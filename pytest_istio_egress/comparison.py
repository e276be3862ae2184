"""Holds what was seen against what is documented, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pytest_istio_egress.cluster.access_log import AccessLogLine
from pytest_istio_egress.evidence import Difference, Exchange
from pytest_istio_egress.outcome import EARLY, Hop, Outcome

_NOTHING = "nothing"


def compare(expected: Outcome, seen: Exchange) -> tuple[Difference, ...]:
    """Return every difference, the most telling first; an empty tuple when the outcome holds."""
    return (
        *_curl(expected, seen),
        *_sidecar(expected, seen),
        *_gateway(expected, seen),
        *_proxy(expected, seen),
        *_far_end(expected, seen),
        *_answer(expected, seen),
    )


def _differ(what: str, expected: object, seen: object) -> Iterator[Difference]:
    if expected != seen:
        yield Difference(what, said(expected), said(seen))


def said(value: object) -> str:
    """Return a value in words: several that are equally right in a stable order."""
    if isinstance(value, frozenset):
        return " or ".join(str(item) for item in sorted(value, reverse=True))
    return _NOTHING if value is None else str(value)


def _curl(expected: Outcome, seen: Exchange) -> Iterator[Difference]:
    yield from _differ("HTTP status", expected.status, seen.curl.status or None)
    if seen.curl.exit not in expected.exits:
        error = f" ({seen.curl.error})" if seen.curl.error else ""
        yield Difference("curl's exit code", said(expected.exits), f"{seen.curl.exit}{error}")


def _sidecar(expected: Outcome, seen: Exchange) -> Iterator[Difference]:
    if expected.sidecar:
        if seen.sidecar is None:
            yield Difference("the sidecar's access log", "a line for this connection", "none")
        else:
            yield from _hop("the sidecar's", expected.hop, seen.sidecar)
        return
    if seen.sidecar is not None:
        yield Difference("the sidecar's access log", "no line: the sidecar is bypassed", seen.sidecar.raw)
    yield from _differ("Envoy's headers in the answer", None, ", ".join(seen.envoy_headers) or None)


def _gateway(expected: Outcome, seen: Exchange) -> Iterator[Difference]:
    if expected.gateway is None:
        return
    if seen.gateway is None:
        yield Difference("the egress gateway's access log", "a line for this request", "none")
    else:
        yield from _hop("the gateway's", expected.gateway, seen.gateway)


def _proxy(expected: Outcome, seen: Exchange) -> Iterator[Difference]:
    if expected.proxy is None:
        return
    if seen.proxy is None:
        yield Difference("the forward proxy's log", "a line for this connection", "none")
    else:
        yield from _hop("the forward proxy's", expected.proxy, seen.proxy)


def _hop(whose: str, expected: Hop, line: AccessLogLine) -> Iterator[Difference]:
    asked = {
        "upstream cluster": (expected.cluster, line.cluster),
        "response flags": (expected.flags, line.flags),
        "response code details": (expected.details, line.details),
        "route": (expected.route, line.route),
        "protocol": (expected.protocol, line.protocol),
        "status": (expected.status, line.status),
        "method": (expected.method, line.method),
        "authority": (expected.authority, line.authority),
        "requested server name": (expected.server_name, line.server_name),
    }
    for what, (wanted, found) in asked.items():
        if isinstance(wanted, frozenset) and found in wanted:
            continue
        if wanted is not None:
            yield from _differ(f"{whose} {what}", wanted, found)
    if expected.failure is not None and expected.failure not in line.failure:
        yield Difference(f"{whose} upstream failure", f"...{expected.failure}...", line.failure)


def _far_end(expected: Outcome, seen: Exchange) -> Iterator[Difference]:
    yield from _differ("the outside server that answered", expected.reached, seen.far_end("server"))
    for fact, wanted in expected.far_end.items():
        yield from _differ(f"the outside server saw {fact}", wanted, seen.far_end(fact))
    if expected.source is not None:
        allowed = seen.addresses.get(expected.source, frozenset())
        address = seen.far_end("source")
        if address not in allowed:
            whose = next((name for name, own in seen.addresses.items() if address in own), "nobody's that is known")
            yield Difference(
                "the source address that the outside server saw", f"the {expected.source}'s", f"{address} ({whose})"
            )
    if expected.request_headers:
        arrived = request_headers(seen.curl.body)
        if arrived is None:
            yield Difference("the request's headers at the far end", "an answer that lists them", "another body")
            return
        for name, value in expected.request_headers.items():
            yield from _header(f"header {name} at the far end", value, arrived.get(name.lower()))


def request_headers(body: str) -> Mapping[str, str] | None:
    """Read what go-httpbin's /headers, /get and /anything tell; None for any other body."""
    try:
        headers = json.loads(body)["headers"]
    except (ValueError, KeyError, TypeError):
        return None
    return {name.lower(): ", ".join(values) for name, values in headers.items()}


def _answer(expected: Outcome, seen: Exchange) -> Iterator[Difference]:
    for name, value in expected.headers.items():
        yield from _header(f"header {name} of the answer", value, seen.curl.headers.get(name.lower()))
    if expected.body is not None and expected.body not in seen.curl.body:
        yield Difference("the answer's body", f"...{expected.body}...", repr(seen.curl.body[:120]))
    if expected.connected_to is not None:
        yield from _differ("the address curl connected to", expected.connected_to, seen.curl.remote_address)
    if expected.at_least is not None:
        # Envoy's own clock where there is one: curl's includes the way there and back.
        spent = seen.sidecar.duration / 1000 if seen.sidecar else seen.curl.seconds
        if spent < expected.at_least * (1 - EARLY):
            yield Difference("time spent on it", f"at least {expected.at_least:g} s", f"{spent:g} s")


def _header(what: str, wanted: str | None, found: str | None) -> Iterator[Difference]:
    if wanted == "*" and found is not None:  # any value will do: only its presence is documented
        return
    yield from _differ(what, wanted, found)
