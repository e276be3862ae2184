"""A probe's request as sidecar, egress gateway and waypoint receive it, from curl's result and the access log lines."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from pytest_istio_egress.model.addresses import split_endpoint
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest
from pytest_istio_egress.verdict.proxy_path import ProxyPath, RequestAtProxy
from pytest_istio_egress.verdict.verdict import Exchange

_ABSENT = "-"


def at_sidecar(exchange: Exchange, request: ClientRequest) -> RequestAtProxy:
    """Return the request as the client's sidecar receives it."""
    line = exchange.sidecar
    address, port = split_endpoint((line.downstream_local if line else None) or "") or (
        exchange.curl.remote_address,
        request.port,
    )
    own = _sent(exchange, request, address)
    headers = _headers(exchange)
    return replace(
        own,
        port=port,
        authority=headers.pop("host", "") or _known(line.authority if line else None) or own.authority,
        method=_known(line.method if line else None) or own.method,
        headers=headers,
    )


def _sent(exchange: Exchange, request: ClientRequest, address: str) -> RequestAtProxy:
    """Return the request as the client sends it, to the URL's host or to its own proxy."""
    probe, proxy = exchange.probe, exchange.probe.proxy
    if proxy is None:
        return RequestAtProxy.of_url(urlsplit(probe.url), request.host, address=address, port=request.port)
    # What was sent names the host as the cluster knows it.
    url = urlsplit(exchange.command[-1] if exchange.command else probe.url)
    return RequestAtProxy.by_client_proxy(url, proxy, request.host, address=address, port=request.port)


def at_gateway(exchange: Exchange, request: ClientRequest, sidecar: ProxyPath | None) -> RequestAtProxy | None:
    """Return the request as the egress gateway receives it; None where the sidecar did not send it there."""
    line, first = exchange.gateway, exchange.sidecar
    if first is None or not exchange.went_to_gateway:
        return None
    listening = split_endpoint((line.downstream_local if line else first.upstream) or "")
    if listening is None:
        return None
    own = at_sidecar(exchange, request)
    cluster = sidecar.through(first.cluster or "").cluster if sidecar else None
    seen = (line.server_name, line.authority, line.method) if line else (None, None, None)
    server_name, authority, method = map(_known, seen)
    received = own.forwarded(cluster, *listening, server_name=server_name)
    return replace(received, authority=authority or own.authority, method=method or own.method)


def at_waypoint(exchange: Exchange, request: ClientRequest) -> RequestAtProxy | None:
    """Return the request as the waypoint receives it; None where ztunnel did not send it through a tunnel."""
    target = split_endpoint(exchange.ztunnel.target) if exchange.ztunnel else None
    if target is None:
        return None
    address, port = target
    return replace(at_sidecar(exchange, request), address=address, port=port)


def _known(value: str | None) -> str:
    return "" if value in (_ABSENT, None) else str(value)


def _headers(exchange: Exchange) -> dict[str, str]:
    """Return the headers that curl was told to send, by names in lower case."""
    words = exchange.command
    given = [words[index + 1] for index, word in enumerate(words[:-1]) if word in ("--header", "-H")]
    pairs = (header.partition(":") for header in given)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
