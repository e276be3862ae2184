"""Causes at a proxy that the client itself uses: it opens no tunnel, or answers in place of the host behind it."""

from __future__ import annotations

from pytest_istio_egress.verdict.analysis.mismatches import why_routed_by_request
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure, Line
from pytest_istio_egress.verdict.diagnosis.rule import OUTCOME, as_sentence, cause, fields

_NO_TUNNEL, _SOCKS_FAILED = 56, 97
"""curl's exit codes where the proxy refused CONNECT, as its message then says, and where SOCKS failed."""
_REDIRECT = 300


@cause(
    "the port of the client's proxy is HTTP",
    explains=OUTCOME,
    needs=(Evidence.SIDECAR_LINE, Evidence.SIDECAR_PATH, Evidence.SERVICE_ENTRIES),
)
def read_as_http(failure: Failure) -> str | None:
    """The sidecar reads what is sent to the proxy as HTTP, and answers it itself, for want of a route."""
    line, path = failure.line, failure.sidecar_path
    if line is None or path is None or line.upstream != "-" or line.status == failure.expected.status:
        return None
    why = why_routed_by_request(failure.configuration, failure.request, path)
    return f"The sidecar answered {line.status} itself ({line.details}). {as_sentence(why)}" if why else None


def _at_proxy(failure: Failure) -> Line | None:
    """Return the line of the Envoy that passed the connection on to the client's proxy as TCP; None without one."""
    if not failure.request.by_proxy or not failure.hops:
        return None
    hop = failure.hops[0]
    reads_http = hop.line.details != "-"
    return None if hop.flags or reads_http or hop.line.upstream == "-" or hop.line.termination != "-" else hop.line


@cause(
    "the client's proxy does not connect to the host",
    explains=OUTCOME,
    needs=(Evidence.CURL_EXIT, Evidence.CURL_MESSAGE, Evidence.CLUSTER),
)
def no_tunnel(failure: Failure) -> str | None:
    """The proxy was reached, and refused the tunnel to the host."""
    line, curl = _at_proxy(failure), failure.curl
    refused = curl.exit == _SOCKS_FAILED or (curl.exit == _NO_TUNNEL and "CONNECT" in curl.error)
    if line is None or not refused or curl.exit in failure.expected.exits:
        return None
    return (
        f"The client's proxy {line.upstream} ({line.cluster}) was reached, and did not connect to "
        f"{failure.exchange.probe.host} ({curl.error}). Check the proxy's log, and which hosts and clients it allows."
    )


@cause(
    "the client's proxy answers, or the host behind it",
    explains=fields("client", "HTTP status"),
    needs=(Evidence.STATUS, Evidence.CLUSTER),
)
def answered(failure: Failure) -> str | None:
    """The proxy was reached by plain HTTP, and what came back has another status."""
    line, curl = _at_proxy(failure), failure.curl
    if line is None or not failure.exchange.probe.is_plain_http or curl.exit != 0 or curl.status < _REDIRECT:
        return None
    if curl.status == failure.expected.status:
        return None
    return (
        f"The client's proxy {line.upstream} ({line.cluster}), or the host behind it, answered {curl.status}; every "
        "Envoy passed that on as TCP. Check the proxy's log, and which hosts and clients it allows."
    )
