"""Causes in EnvoyFilters and WasmPlugins: the request shows the effect, and the proxy's own configuration the part."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_istio_egress.verdict.analysis.documents import full_name
from pytest_istio_egress.verdict.analysis.extensions import Patch, filters_from, patches_elsewhere, patches_on
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure, LoggedHop
from pytest_istio_egress.verdict.diagnosis.rule import ROUTED, cause, fields
from pytest_istio_egress.verdict.failure_context import GATEWAY, WAYPOINT
from pytest_istio_egress.verdict.proxy_path import ProxyPath

_LOCAL_REPLIES: Mapping[str, str] = {
    "lua_response": "lua",
    "fault_filter_abort": "fault",
    "fault_filter_delay": "fault",
    "ext_authz_denied": "ext_authz",
    "ext_authz_error": "ext_authz",
    "local_rate_limited": "local_ratelimit",
    "request_rate_limited": "ratelimit",
    "ext_proc_error": "ext_proc",
    "jwt_authn_access_denied": "jwt_authn",
    "csrf_origin_mismatch": "csrf",
    "request_payload_too_large": "buffer",
    "admission_control_filter_shed_request": "admission_control",
}
"""By the response code details that a filter sets: a part of the filter's name."""


def _sets(value: Any, *names: str) -> bool:
    """Whether a patch sets one of some fields, at any depth."""
    if isinstance(value, Mapping):
        return any(name in names or _sets(each, *names) for name, each in value.items())
    return isinstance(value, list) and any(_sets(each, *names) for each in value)


def _explains(patch: Patch, hop: LoggedHop, host: str) -> bool:
    """Whether what a patch sets brings about what the line of a request for a host shows and is not documented."""
    line, expected = hop.line, hop.expected
    if _writes_authority(patch, hop, host):
        return True
    if line.details == "direct_response" and _sets(patch.value, "direct_response", "directResponse"):
        return f'"status": {line.status}' in json.dumps(patch.value)
    chosen = line.cluster not in ("-", expected.cluster) and patch.apply_to != "CLUSTER"
    if chosen and line.cluster in _values(patch.value, "cluster"):
        return True
    for details, filter_name in _LOCAL_REPLIES.items():
        if line.details.startswith(details) and expected.details != line.details:
            return _adds_filter(patch, filter_name)
    if patch.apply_to == "CLUSTER":
        return _of_cluster(patch, hop)
    return any(_sets(patch.value, *names) for sign, names in _LIMITS.items() if sign in _limits_of(hop))


def _writes_authority(patch: Patch, hop: LoggedHop, host: str) -> bool:
    """Whether the line has another Host header than the client sent, which stands in the patch of a filter."""
    name = hop.line.authority.partition(":")[0]
    return patch.apply_to == "HTTP_FILTER" and name not in ("", "-", host) and _mentions(patch, name.lower())


def _limits_of(hop: LoggedHop) -> set[str]:
    """Return the flags and the details that are not documented; UT stands for the whole request's timeout alone."""
    signs = set(hop.flags)
    if hop.line.details != hop.expected.details:
        signs.add(hop.line.details)
    if "per_try" in hop.line.details:
        signs.discard("UT")
    return signs


def _values(value: Any, name: str) -> list[str]:
    if isinstance(value, Mapping):
        own = [str(value[name])] if isinstance(value.get(name), str) else []
        return own + [found for each in value.values() for found in _values(each, name)]
    return [found for each in value for found in _values(each, name)] if isinstance(value, list) else []


_STREAM_DURATION = ("max_stream_duration", "maxStreamDuration")
_LIMITS: Mapping[str, tuple[str, ...]] = {
    "UT": ("timeout",),
    "upstream_per_try_timeout": ("per_try_timeout", "perTryTimeout"),
    "DT": (*_STREAM_DURATION, "max_connection_duration", "maxConnectionDuration"),
    "max_duration_timeout": _STREAM_DURATION,
    "UMSDR": _STREAM_DURATION,
    "SI": ("idle_timeout", "idleTimeout", "stream_idle_timeout", "streamIdleTimeout"),
}
"""By the flag, or the details, of a limit that was reached at a route or filter: the fields that set it."""
_OF_FLAG: Mapping[str, tuple[str, ...]] = {
    "UO": ("circuit_breakers", "circuitBreakers"),
    "UF": ("connect_timeout", "connectTimeout", "load_assignment", "loadAssignment", "transport_socket"),
    "UMSDR": _STREAM_DURATION,
    "UPE": ("typed_extension_protocol_options", "http2_protocol_options"),
    "UH": ("load_assignment", "loadAssignment"),
}


def _of_cluster(patch: Patch, hop: LoggedHop) -> bool:
    if hop.failure and _sets(patch.value, "transport_socket", "transportSocket"):
        return True
    return any(_sets(patch.value, *_OF_FLAG.get(flag, ())) for flag in hop.flags)


def patches_of(failure: Failure, name: str, path: ProxyPath | None) -> list[Patch]:
    """Return the EnvoyFilters' patches that a hop's path contains."""
    workload = failure.workload(name)
    if path is None or workload is None:
        return []
    return patches_on(failure.configuration, workload, path, context_of(name))


def patches_with(failure: Failure, hop: LoggedHop, filter_name: str) -> Iterator[Patch]:
    """Return the EnvoyFilters' patches that a hop's path contains and that add such an HTTP filter."""
    return (patch for patch in patches_of(failure, hop.name, hop.path) if _adds_filter(patch, filter_name))


def _adds_filter(patch: Patch, name: str) -> bool:
    return patch.apply_to == "HTTP_FILTER" and name in json.dumps(patch.value)


def context_of(hop: str) -> str:
    """Return the context of EnvoyFilters for what a hop sends."""
    return {GATEWAY: "GATEWAY", WAYPOINT: "SIDECAR_INBOUND"}.get(hop, "SIDECAR_OUTBOUND")


@cause(
    "an EnvoyFilter changes the outcome",
    explains=ROUTED,
    needs=(Evidence.HOP_LINE, Evidence.HOP_PATH, Evidence.ENVOY_FILTERS),
)
def changes_outcome(failure: Failure) -> str | None:
    """A patch is in the configuration on the path, and the line shows what it sets."""
    for hop in failure.hops:
        for patch in patches_of(failure, hop.name, hop.path):
            if _explains(patch, hop, failure.request.host):
                return _sentence(patch, hop)
    return None


def _sentence(patch: Patch, hop: LoggedHop) -> str:
    return (
        f"{full_name(patch.document)} changed the outcome at the {hop.name}: it patches the {patch.apply_to} on the "
        f"request's path with {json.dumps(patch.value)[:300]}, and the {hop.name} logged {_shown(hop)}. Check that "
        "EnvoyFilter."
    )


def _shown(hop: LoggedHop) -> str:
    line = hop.line
    parts: list[tuple[str, str]] = [
        ("status", str(line.status or "-")),
        ("flags", line.flags),
        ("details", line.details),
        ("cluster", line.cluster),
        ("Host header", line.authority),
    ]
    return ", ".join(f"{name} {value}" for name, value in parts if value != "-")


def _mentions(patch: Patch, name: str) -> bool:
    """Whether a patch contains a whole name of a header, also within a script."""
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", json.dumps(patch.value).lower()) is not None


@cause("the module of a WasmPlugin is missing (NFCF)", explains=ROUTED, needs=(Evidence.FLAGS, Evidence.HOP_PATH))
def module_missing(failure: Failure) -> str | None:
    """The proxy has no configuration for a filter, and a plugin adds one to the path that waits for its module."""
    hop = failure.flagged("NFCF")
    workload = failure.workload(hop.name) if hop else None
    if hop is None or hop.path is None or workload is None:
        return None
    plugin = next(iter(filters_from(failure.configuration, workload, hop.path)), None)
    if plugin is None:
        return None
    return (
        f"The {hop.name} has no configuration for a filter on the request's path (NFCF), and {full_name(plugin)} adds "
        f"one. Check its url and imagePullSecret, and the log of the {hop.name}'s istio-proxy, which names the module "
        "that it could not load."
    )


@cause(
    "an EnvoyFilter changes a header",
    explains=fields("external server", "request header*") | fields("client", "response header*"),
    needs=(Evidence.HOP_LINE, Evidence.HOP_PATH, Evidence.ENVOY_FILTERS),
)
def changes_header(failure: Failure) -> str | None:
    """A patch on the path names the header that differs."""
    names = [each.field.rpartition(" ")[2].lower() for each in failure.differences if " header " in f" {each.field} "]
    for hop in failure.hops:
        for patch in patches_of(failure, hop.name, hop.path):
            found = next((name for name in names if _mentions(patch, name)), None)
            if found:
                return (
                    f"{full_name(patch.document)} patches the {patch.apply_to} on the request's path at the "
                    f"{hop.name}, "
                    f"and names the header {found}. Check that EnvoyFilter."
                )
    return None


@cause(
    "an EnvoyFilter has another context",
    explains=fields("external server", "request header*") | fields("client", "response header*"),
    needs=(Evidence.HOP_LINE, Evidence.ENVOY_FILTERS),
)
def other_context(failure: Failure) -> str | None:
    """A header is missing that an EnvoyFilter on the pod names, in patches for other traffic alone."""
    missing = [each for each in failure.differences if " header " in f" {each.field} " and each.seen == _NOTHING]
    names = [each.field.rpartition(" ")[2].lower() for each in missing]
    for hop in failure.hops:
        workload, wanted = failure.workload(hop.name), context_of(hop.name)
        for patch in patches_elsewhere(failure.configuration, workload, wanted) if workload else []:
            name = next((name for name in names if _mentions(patch, name)), None)
            if name:
                return (
                    f"{full_name(patch.document)} names the header {name} in a patch with the context {patch.context}, "
                    f"and what the {hop.name} sends has the context {wanted}. Check match.context of that EnvoyFilter."
                )
    return None


_NOTHING = "none"
"""How a difference shows a header that is not there."""
