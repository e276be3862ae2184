"""What a proxy's configuration says about its access log: whether the outcome of a request can be read from it.

Istio has several places that decide it (mesh configuration, Telemetry, EnvoyFilter, of several namespaces); the proxy's
configuration has the result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pytest_istio_egress.model.access_log import AccessLogLine

LineParser = Callable[[str], AccessLogLine | None]
"""Reads a raw line; None for one that is not an entry of the access log."""

COMPARED: dict[str, tuple[str, ...]] = {
    "downstream_remote": ("DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS"),
    "user_agent": ("REQ(USER-AGENT)",),
    "upstream_local": ("UPSTREAM_LOCAL_ADDRESS",),
    "cluster": ("UPSTREAM_CLUSTER_RAW", "UPSTREAM_CLUSTER"),
    "flags": ("RESPONSE_FLAGS",),
    "details": ("RESPONSE_CODE_DETAILS",),
    "route": ("ROUTE_NAME",),
    "protocol": ("PROTOCOL",),
    "method": ("REQ(:METHOD)",),
    "authority": ("REQ(:AUTHORITY)",),
    "server_name": ("REQUESTED_SERVER_NAME",),
    "failure": ("UPSTREAM_TRANSPORT_FAILURE_REASON",),
    "status": ("0",),
}
"""The fields by which a line is found or which outcomes state (Hop), and the command operators of Envoy for them.

Numbers have 0 in `sample`."""
FOUND_BY = ("downstream_remote",)
"""What a line must have to be found at all."""

_COMMAND = re.compile(r"%[A-Z][A-Z0-9_]*(?:\([^)]*\))?(?::\d+)?%")
"""A command operator of Envoy's formats, such as %REQ(:METHOD)%."""
_NUMBER = re.compile(r"%(?:RESPONSE_CODE|BYTES_\w+|DURATION)%")
_REQUESTS = ("HttpConnectionManager", "TcpProxy")
_STDOUT = ("/dev/stdout", "/dev/stderr")
_OWN_PORT = 15001
"""Istio closes connections to the sidecar's own port by a filter chain without a log: no request takes it."""


def log_problem(listeners: Iterable[dict[str, Any]], parse: LineParser, needed: Iterable[str]) -> str | None:
    """Return why the log of requests cannot serve as evidence, empty where it can, None without any such listener.

    `listeners` are those of a config dump that handle outbound requests; `parse` reads the log; `needed` are names in
    COMPARED.
    """
    fields = tuple(needed)
    problems = [_problem(settings.get("access_log") or [], parse, fields) for settings in _filters(listeners)]
    if not problems:
        return None
    return next(filter(None, problems), "")


def _filters(listeners: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the settings of the network filters that handle requests."""
    for listener in listeners:
        default = listener.get("default_filter_chain")
        for chain in [*listener.get("filter_chains", []), *([default] if default else [])]:
            if chain.get("filter_chain_match", {}).get("destination_port") == _OWN_PORT:
                continue
            for entry in chain.get("filters", []):
                settings = entry.get("typed_config", {})
                if settings.get("@type", "").endswith(_REQUESTS):
                    yield settings


def _problem(logs: list[dict[str, Any]], parse: LineParser, needed: tuple[str, ...]) -> str:
    """Return why none of the logs of one filter can serve, empty where one can."""
    problems = [_problem_of(log, parse, needed) for log in logs]
    return "" if "" in problems else (problems or ["there is none"])[0]


def _problem_of(log: dict[str, Any], parse: LineParser, needed: tuple[str, ...]) -> str:
    settings = log.get("typed_config", {})
    kind = settings.get("@type", "").rpartition(".")[2]
    if kind not in ("FileAccessLog", "StdoutAccessLog", "StderrAccessLog"):
        return f"it goes to {log.get('name') or kind}, not to the proxy's standard output"
    if kind == "FileAccessLog" and settings.get("path") not in _STDOUT:
        return f"it goes to the file {settings.get('path')}, not to the proxy's standard output"
    if log.get("filter"):
        return f"it has only the requests that pass a filter{_expression(log['filter'])}"
    line = parse(sample(settings))
    if line is None:
        return "its format is neither Istio's default text format nor JSON with Istio's keys"
    missing = [f"%{COMPARED[name][0]}%" for name in needed if str(getattr(line, name)) not in COMPARED[name]]
    return f"its format has no {', '.join(missing)}" if missing else ""


def _expression(log_filter: dict[str, Any]) -> str:
    """Return the CEL expression of a Telemetry's filter, in parentheses; empty for another filter."""
    expression = log_filter.get("extension_filter", {}).get("typed_config", {}).get("expression")
    return f" ({expression})" if expression else ""


def sample(settings: dict[str, Any]) -> str:
    """Return a line as a log with these settings writes it, with each operator's own name, or 0, as its value."""
    log_format = settings.get("log_format", {})
    keys = log_format.get("json_format") or settings.get("json_format") or settings.get("typed_json_format")
    if keys:
        return json.dumps({name: _sampled(str(value)) for name, value in keys.items()})
    text = log_format.get("text_format_source", {}).get("inline_string") or log_format.get("text_format")
    return _sampled(str(text or settings.get("format") or "")).rstrip("\n")


def _sampled(text: str) -> str:
    return _COMMAND.sub(lambda match: "0" if _NUMBER.fullmatch(match[0]) else match[0].strip("%"), text)
