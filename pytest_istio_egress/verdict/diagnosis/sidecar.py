"""Causes at the client's sidecar itself: missing, not ready, bypassed, or silent because the server speaks first."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from pytest_istio_egress.model.addresses import is_within
from pytest_istio_egress.verdict.analysis.documents import full_name
from pytest_istio_egress.verdict.analysis.hosts import applied, protocol_of
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.diagnosis.rule import OUTCOME, ROUTED, cause

_PREFIX = "traffic.sidecar.istio.io/"
_SERVER_FIRST = frozenset({"smtp", "ftp", "imap", "pop3", "telnet"})
"""Schemes of curl where the client waits for the server's greeting."""
_TIMED_OUT = 28
_NO_CONNECTION = 7


@cause("sidecar not injected", explains=ROUTED, needs=(Evidence.NO_SIDECAR_LINE, Evidence.POD))
def not_injected(_: Failure) -> str | None:
    """The client's pod has no proxy at all."""
    return (
        "The client's pod has no istio-proxy container: no sidecar was injected. Check the pod's label "
        "sidecar.istio.io/inject and its namespace's label istio-injection or istio.io/rev."
    )


@cause("sidecar not ready", explains=ROUTED, needs=(Evidence.NO_SIDECAR_LINE, Evidence.PROXY_HEALTH))
def not_ready(failure: Failure) -> str | None:
    """The client's proxy exists, but is not ready."""
    return (
        f"The client's sidecar is not ready ({failure.context.proxy_trouble}), and all traffic of the pod is "
        "redirected to it. Check the log of the pod's istio-proxy container."
    )


def _responded(failure: Failure) -> bool:
    return failure.answered and not failure.exchange.envoy_headers


@cause(
    "a pod annotation excludes the traffic",
    explains=ROUTED,
    needs=(Evidence.NO_SIDECAR_LINE, Evidence.STATUS, Evidence.COUNTERS, Evidence.ANNOTATIONS),
)
def excluded(failure: Failure) -> str | None:
    """An answer came, no Envoy counted the request, and an annotation covers its address or port."""
    curl = failure.curl
    annotation = covering(failure.context.annotations, curl.remote_address, failure.request.port)
    if not annotation or not _responded(failure):
        return None
    return f"The request bypassed the sidecar because of a pod annotation {_covered(annotation, failure)}. {_MEANT}"


_MEANT = "Check whether the annotation is meant to exclude this traffic."


def _covered(annotation: str, failure: Failure) -> str:
    """Return an annotation in brackets, and what it covers or leaves out."""
    address, port = failure.curl.remote_address, failure.request.port
    what = f"{address}:{port}" if address else f"port {port}"
    return f"({annotation}), which {'leaves out' if '/include' in annotation else 'covers'} {what}"


@cause(
    "a pod annotation excludes the traffic, and nothing answers",
    explains=ROUTED,
    needs=(Evidence.NO_SIDECAR_LINE, Evidence.CURL_EXIT, Evidence.ANNOTATIONS),
)
def excluded_unanswered(failure: Failure) -> str | None:
    """No connection, which a sidecar would have accepted, and an annotation covers the address or port.

    client --> sidecar --> 192.0.2.80:80          by the address that Istio allocated to the host, 240.240.0.1
    client --> 240.240.0.1:80, which is nowhere   past the sidecar
    """
    curl = failure.curl
    annotation = covering(failure.context.annotations, curl.remote_address, failure.request.port)
    silent = curl.exit == _TIMED_OUT and failure.context.captured is False and not curl.status
    if not annotation or not (silent or curl.exit == _NO_CONNECTION):
        return None
    return (
        f"The connection went past the sidecar because of a pod annotation {_covered(annotation, failure)}, and "
        f"nothing answered it (curl exit code {curl.exit}): without the sidecar the address may lead nowhere. {_MEANT}"
    )


@cause(
    "traffic not redirected to the sidecar",
    explains=ROUTED,
    needs=(Evidence.NO_SIDECAR_LINE, Evidence.STATUS, Evidence.COUNTERS),
)
def bypassed(failure: Failure) -> str | None:
    """An answer came, and no Envoy counted the request."""
    if not _responded(failure):
        return None
    return (
        "The request bypassed the sidecar, which runs but counted no connection: the pod's traffic is not redirected "
        "to it. Check the log of the istio-init container, or of the Istio CNI plugin."
    )


@cause(
    "a server that speaks first, on a port without a protocol",
    explains=OUTCOME,
    needs=(Evidence.NO_SIDECAR_LINE, Evidence.CURL_EXIT, Evidence.SIDECAR_PATH, Evidence.SERVICE_ENTRIES),
)
def server_first(failure: Failure) -> str | None:
    """The sidecar waits for the client's first bytes, and the client for the server's."""
    path, request = failure.sidecar_path, failure.request
    waits = urlsplit(failure.exchange.probe.url).scheme in _SERVER_FIRST and failure.curl.exit == _TIMED_OUT
    if path is None or not path.sniffed or not waits or failure.curl.status:
        return None
    undeclared = [each for each in applied(failure.configuration, request) if not protocol_of(each, request.port)]
    if not undeclared:
        return None
    return (
        f"The sidecar waited for the client's first bytes, to detect the protocol, and the client for the server's: "
        f"{full_name(undeclared[0])} declares no protocol for port {request.port}, and in this protocol the server "
        "speaks first. Check the port: appProtocol tcp, or a name such as tcp-mail, ends the detection."
    )


@cause("no access log line", explains=ROUTED, needs=(Evidence.NO_SIDECAR_LINE,))
def no_line(failure: Failure) -> str | None:
    """No access log line was found, and nothing else shows whether the request passed the sidecar."""
    detail = failure.context.incomplete or "the sidecar shows no other trace of it"
    return (
        f"The sidecar's access log has no line for the request, so its path is unknown ({detail}). Check the "
        "log of the "
        "pod's istio-proxy container, and run the test again."
    )


def covering(annotations: Mapping[str, str], address: str, port: int) -> str:
    """Return the annotation, `NAME: VALUE`, by which a connection is not redirected to the proxy; empty without one."""
    for name, value in annotations.items():
        short = name.removeprefix(_PREFIX)
        if short.endswith("IPRanges") and value not in ("", "*") and not address:
            continue  # curl names none where it could not connect
        listed = _in_ranges(address, value) if short.endswith("IPRanges") else str(port) in _items(value)
        # includeOutboundPorts adds ports to the included address ranges: by itself it excludes nothing.
        left_out = short == "includeOutboundIPRanges" and value != "*" and not listed
        if left_out or (short in ("excludeOutboundIPRanges", "excludeOutboundPorts") and (listed or value == "*")):
            return f"{name}: {value or repr('')}"
    return ""


def _items(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def _in_ranges(address: str, value: str) -> bool:
    try:
        return is_within(address, _items(value))
    except ValueError:
        return False
