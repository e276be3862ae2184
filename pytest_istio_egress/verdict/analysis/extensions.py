"""EnvoyFilters and other extensions that touch the part of a proxy's configuration which a request takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_istio_egress.verdict.analysis.attachment import attached
from pytest_istio_egress.verdict.analysis.configuration import Configuration, Workload
from pytest_istio_egress.verdict.analysis.documents import Document, namespace_of, spec_of
from pytest_istio_egress.verdict.proxy_path import ProxyPath
from pytest_istio_egress.verdict.proxy_path.listeners import filters_of, http_manager

_RUN_LABEL = "istio-egress.dev/run"
_OWN = "access-log"
"""The EnvoyFilter and the Telemetry of every run, in its own namespaces: they change no outcome."""


@dataclass(frozen=True)
class Patch:
    """A patch of an EnvoyFilter that the configuration on a request's path contains."""

    document: Document
    apply_to: str
    value: Mapping[str, Any]
    """What it sets, as the proxy has it."""
    context: str = "ANY"
    """The traffic that it is for."""


def extensions_of(configuration: Configuration, workload: Workload) -> list[Document]:
    """Return the WasmPlugins, TrafficExtensions, Telemetries and ProxyConfigs that apply to a workload."""
    return [each for each in configuration.extensions if _applies(each, configuration, workload)]


def filters_from(configuration: Configuration, workload: Workload, path: ProxyPath) -> list[Document]:
    """Return the WasmPlugins and TrafficExtensions whose filter the request's path contains."""
    own = [*_parts(path, "HTTP_FILTER"), *((path.chain or {}).get("filters") or [])]
    names = {str(each.get("name") or "") for each in own}
    return [each for each in extensions_of(configuration, workload) if names & _filter_names(each)]


def _filter_names(document: Document) -> frozenset[str]:
    """Return the names that istiod gives the filter of a WasmPlugin or a TrafficExtension, by release."""
    name = f"{namespace_of(document)}.{document['metadata']['name']}"
    of_kind = {
        "WasmPlugin": (f"wasmplugin/{name}", f"trafficextension/{name}~istio-translated-wasmplugin"),
        "TrafficExtension": (f"trafficextension/{name}",),
    }
    return frozenset(f"extensions.istio.io/{each}" for each in of_kind.get(str(document["kind"]), ()))


def settings_from(configuration: Configuration, workload: Workload) -> list[tuple[Document, str]]:
    """Return the Telemetries and ProxyConfigs of a workload, each with the fields that it sets.

    An access log that a Telemetry turns on, and neither filters nor turns off, is nothing that a request shows.
    """
    return [
        (each, ", ".join(sorted(set(spec_of(each)) - {"selector", "targetRef", "targetRefs"} - _plain_log(each))))
        for each in extensions_of(configuration, workload)
        if each["kind"] in ("Telemetry", "ProxyConfig")
    ]


def _plain_log(telemetry: Document) -> frozenset[str]:
    """Return the field accessLogging, where it only turns the log on."""
    logs = spec_of(telemetry).get("accessLogging") or []
    limited = any(each.get("disabled") or each.get("filter") for each in logs)
    return frozenset() if limited else frozenset({"accessLogging"})


def _applies(document: Document, configuration: Configuration, workload: Workload) -> bool:
    own = _RUN_LABEL in (document["metadata"].get("labels") or {}) and document["metadata"]["name"] == _OWN
    return not own and attached(document, configuration, workload)


def patches_on(configuration: Configuration, workload: Workload, path: ProxyPath, context: str) -> list[Patch]:
    """Return the patches that the path's own parts contain; `context` is that of what the proxy sends."""
    return [
        Patch(document, str(patch.get("applyTo", "")), value)
        for document in configuration.envoy_filters
        if _applies(document, configuration, workload)
        for patch in spec_of(document).get("configPatches") or []
        if (patch.get("match") or {}).get("context", "ANY") in ("ANY", context)
        and (value := (patch.get("patch") or {}).get("value"))
        and any(_contains(part, value) for part in _parts(path, str(patch.get("applyTo", ""))))
    ]


def patches_elsewhere(configuration: Configuration, workload: Workload, context: str) -> list[Patch]:
    """Return the patches of EnvoyFilters on a workload that are for other traffic than that of a context."""
    return [
        Patch(document, str(patch.get("applyTo", "")), value, stated)
        for document in configuration.envoy_filters
        if _applies(document, configuration, workload)
        for patch in spec_of(document).get("configPatches") or []
        if (stated := str((patch.get("match") or {}).get("context", "ANY"))) not in ("ANY", context)
        and (value := (patch.get("patch") or {}).get("value"))
    ]


def _parts(path: ProxyPath, apply_to: str) -> Iterator[Any]:
    """Yield the parts of the path that a kind of patch changes."""
    manager = http_manager(path.chain) or {}
    match apply_to:
        case "CLUSTER":
            yield from filter(None, (path.dump.clusters.get(name) for name in path.clusters))
        case "HTTP_ROUTE":
            yield from filter(None, [path.route])
        case "VIRTUAL_HOST":
            yield from filter(None, [path.virtual_host])
        case "ROUTE_CONFIGURATION":
            yield from filter(None, [path.dump.route_configs.get(path.route_config)])
        case "HTTP_FILTER":
            yield from manager.get("http_filters") or []
        case "NETWORK_FILTER":
            yield from filters_of(path.chain)
            yield from (path.chain or {}).get("filters") or []
        case "FILTER_CHAIN":
            yield from filter(None, [path.chain])
        case "LISTENER":
            yield from filter(None, [path.listener])
        case "LISTENER_FILTER":
            yield from (path.listener or {}).get("listener_filters") or []


def _contains(part: Any, value: Any) -> bool:
    """Whether a part of the configuration contains what a patch sets; Envoy spells names in snake case."""
    if isinstance(value, Mapping):
        return isinstance(part, Mapping) and all(
            any(_contains(part[name], each) for name in (key, _snake(key)) if name in part)
            for key, each in value.items()
        )
    if isinstance(value, list):
        return isinstance(part, list) and all(any(_contains(item, each) for item in part) for each in value)
    return _text(part) == _text(value)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
