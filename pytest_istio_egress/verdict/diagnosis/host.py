"""Causes at the host, or in what the Envoys before it sent: its own answer, a redirect, another Host header."""

from __future__ import annotations

from urllib.parse import urlsplit

from pytest_istio_egress.model.cluster_name import host_of
from pytest_istio_egress.verdict.analysis.documents import covers
from pytest_istio_egress.verdict.analysis.hosts import is_outside
from pytest_istio_egress.verdict.comparison import request_headers
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.diagnosis.rule import (
    AT_GATEWAY,
    AT_SIDECAR,
    AT_WAYPOINT,
    OUTCOME,
    as_sentence,
    cause,
    fields,
)
from pytest_istio_egress.verdict.proxy_path.routes import rewritten_path
from pytest_istio_egress.verdict.proxy_path.upstream import mesh_tls, originated_tls

_REDIRECT = 300
"""Below it a host answers what it was asked for: what got through has another cause."""
_REDIRECTS = (301, 302, 307, 308)
_FORWARDED = "x-forwarded-proto"


@cause(
    "the host redirects to https although TLS is originated",
    explains=OUTCOME | fields("client", "response header*"),
    needs=(Evidence.STATUS, Evidence.RESPONSE_HEADERS, Evidence.DETAILS, Evidence.HOP_PATH),
)
def redirect_loop(failure: Failure) -> str | None:
    """The host redirects to the same URL by https, and the last Envoy already uses TLS to it."""
    curl, last = failure.curl, failure.hops[0]
    if curl.status not in _REDIRECTS or last.line.details != "via_upstream" or last.path is None:
        return None
    target, own = urlsplit(curl.headers.get("location", "")), urlsplit(failure.exchange.probe.url)
    same = (
        target.scheme == "https"
        and target.hostname == failure.request.host
        and (target.path or "/") == (own.path or "/")
    )
    if own.scheme != "http" or not same or originated_tls(last.path.cluster) is None or _sets_forwarded(failure):
        return None
    return (
        f"The host redirects to https ({curl.status}), although the {last.name} already uses TLS to it: the "
        "request has "
        f"{_FORWARDED}: http, because the client sent plain HTTP, and hosts that trust this header redirect. Check "
        f"{_FORWARDED}: a VirtualService can set it to https."
    )


def _sets_forwarded(failure: Failure) -> bool:
    """Whether a route on the path sets the header itself."""
    added = [
        str((each.get("header") or {}).get("key", "")).lower()
        for hop in failure.hops
        for each in ((hop.path.route if hop.path else None) or {}).get("request_headers_to_add") or []
    ]
    return _FORWARDED in added


@cause(
    "a rule rewrites the Host header",
    explains=OUTCOME | fields("external server", "host", "request header host"),
    needs=(Evidence.HOP_LINE, Evidence.HOP_PATH),
)
def rewritten_authority(failure: Failure) -> str | None:
    """A route on the path rewrites the authority, and it is that one which arrived and is not expected."""
    wanted = failure.expected.server_saw.get("host") or failure.expected.request_headers.get("host")
    received = failure.exchange.server_saw("host") or (request_headers(failure.curl.body) or {}).get("host")
    if wanted is None or received in (None, wanted):
        return None
    for hop in failure.hops:
        action = ((hop.path.route if hop.path else None) or {}).get("route") or {}
        if hop.path is not None and received == action.get("host_rewrite_literal"):
            rule = hop.path.rule or "the route"
            return f"{as_sentence(f'{rule} rewrites the Host header to {received} at the {hop.name}')} {_CHECK_REWRITE}"
    return None


_CHECK_REWRITE = "Check rewrite.authority and the headers that it sets."


@cause(
    "the Host header was changed",
    explains=OUTCOME | fields("external server", "host"),
    needs=(Evidence.HOP_LINE, Evidence.RESPONSE_HEADERS),
)
def changed_authority(failure: Failure) -> str | None:
    """The request arrived with another Host header, which an Envoy on the path wrote: its line has it, too."""
    exchange, wanted = failure.exchange, failure.expected.server_saw.get("host")
    received = exchange.server_saw("host")
    if wanted is None or received in (None, wanted, exchange.sent_authority):
        return None
    hop = next((each for each in reversed(failure.hops) if each.line.authority == received), None)
    if hop is None:
        return None
    return (
        f"The {hop.name} changed the Host header to {received}. Check rewrite.authority and the headers of the "
        f"VirtualService that applies there (route {hop.line.route})."
    )


def _own_answer(failure: Failure) -> bool:
    """Whether the host itself sent the status that differs, and every Envoy that logged the request passed it on."""
    curl = failure.curl
    if curl.status == failure.expected.status or curl.status < _REDIRECT or not failure.hops or failure.expects_block:
        return False
    return all(hop.line.details == "via_upstream" and hop.line.status == curl.status for hop in failure.hops)


@cause(
    "a rule rewrites the path for a host that does not know it",
    explains=fields("client", "HTTP status") | AT_SIDECAR | AT_GATEWAY | AT_WAYPOINT,
    needs=(Evidence.STATUS, Evidence.DETAILS, Evidence.HOP_PATH),
)
def path_rewritten(failure: Failure) -> str | None:
    """The host says that it does not know the path, or redirects, and a route rewrote the path."""
    if not _own_answer(failure) or failure.curl.status not in (_NOT_FOUND, *_REDIRECTS):
        return None
    for hop in failure.hops:
        route = (hop.path.route if hop.path else None) or {}
        sent = hop.path.request.path if hop.path else ""
        rewritten = rewritten_path(route, sent)
        if hop.path is None or hop.path.rule is None or rewritten in ("", sent):
            continue
        if failure.curl.status in _REDIRECTS and "//" not in rewritten:
            continue
        return (
            f"The host {hop.line.upstream} itself answered {failure.curl.status}. {hop.path.rule} rewrites the path at "
            f"the {hop.name}: {sent} becomes {rewritten}. Check rewrite.uri and the uri of the match: a prefix is "
            "replaced as it is written, with or without its last slash."
        )
    return None


@cause(
    "a rule sends the request to another host with the Host header of the first",
    explains=fields("client", "HTTP status") | AT_SIDECAR | AT_GATEWAY | AT_WAYPOINT,
    needs=(Evidence.STATUS, Evidence.DETAILS, Evidence.HOP_PATH, Evidence.SERVICE_ENTRIES),
)
def authority_of_other_host(failure: Failure) -> str | None:
    """The host does not know the name that it was asked for, which is that of another host."""
    last = failure.hops[0]
    host, asked = host_of(last.line.cluster), last.line.authority.partition(":")[0]
    if not _own_answer(failure) or failure.curl.status not in (_NOT_FOUND, _MISDIRECTED, _FORBIDDEN):
        return None
    if last.path is None or last.path.rule is None or not host or asked != failure.request.host:
        return None
    if covers(host, asked) or last.path.rewrites_authority or not is_outside(failure.configuration, host):
        return None
    return (
        f"The host {last.line.upstream} itself answered {failure.curl.status}. {last.path.rule} sends requests for "
        f"{asked} to {last.line.cluster} and does not rewrite their Host header, so {host} received a request with "
        f"the Host header {last.line.authority}. Check rewrite.authority of that route."
    )


_FORBIDDEN, _NOT_FOUND, _MISDIRECTED = 403, 404, 421


@cause(
    "a rule answers the request itself",
    explains=OUTCOME | fields("client", "response header*", "response body"),
    needs=(Evidence.HOP_LINE, Evidence.DETAILS, Evidence.HOP_PATH),
)
def answered_by_rule(failure: Failure) -> str | None:
    """A route of a VirtualService answers with a status or a redirect of its own, and the line shows that answer."""
    for hop in failure.hops:
        path, line = hop.path, hop.line
        if (
            path is None
            or path.rule is None
            or line.details != "direct_response"
            or hop.expected.details == line.details
        ):
            continue
        if path.response and path.response != line.status:
            continue
        if path.response or (path.route or {}).get("redirect"):
            return (
                f"{path.rule} answers the request itself at the {hop.name} ({line.status}, {line.details}). Check its "
                "redirect and directResponse."
            )
    return None


@cause(
    "a rule sends the request to another cluster",
    explains=(
        fields("sidecar", "upstream cluster", "route")
        | fields("egress gateway", "upstream cluster", "route")
        | fields("waypoint", "upstream cluster", "route")
    ),
    needs=(Evidence.HOP_LINE, Evidence.HOP_PATH),
)
def routed_by_rule(failure: Failure) -> str | None:
    """The proxy's own route for the request comes from a VirtualService, and leads to the cluster that was logged."""
    for hop in failure.hops:
        path, line = hop.path, hop.line
        if path is None or path.rule is None or not failure.differs(hop.name, "upstream cluster"):
            continue
        if line.cluster not in path.clusters:
            continue
        return f"{path.rule} sends the request to {line.cluster} at the {hop.name}. Check its routes and matches."
    return None


@cause(
    "the host itself answers",
    explains=fields("client", "HTTP status") | AT_SIDECAR | AT_GATEWAY | AT_WAYPOINT,
    needs=(Evidence.STATUS, Evidence.DETAILS),
)
def answered(failure: Failure) -> str | None:
    """The host itself sent the status that differs, and every Envoy that logged the request passed it on."""
    curl = failure.curl
    if not _own_answer(failure) or (failure.expected.gateway is not None and failure.gateway_line is None):
        return None
    last = failure.hops[0]
    upstream, path = last.line.upstream, last.path
    if path is not None and mesh_tls(path.cluster):
        return (
            f"The destination {upstream}, or its own proxy, answered {curl.status}; every Envoy before it passed that "
            "answer on. Check the access log of the destination's proxy."
        )
    return f"The host {upstream} itself answered {curl.status}; every Envoy passed that answer on. Check the host."
