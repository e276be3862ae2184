"""Facts from the mesh configuration and from mesh-wide resources of the root namespace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.facts.objects import Object, ObjectReader, name
from pytest_istio_egress.model.mesh_facts import DEFAULT_SETTINGS, MESH_SETTINGS, NO_SERVICE, MeshSidecar
from pytest_istio_egress.model.mesh_log import CUSTOM, MeshLog
from pytest_istio_egress.model.text import one_line

SHARED = "SHARED_MESH_CONFIG"
"""The environment variable of istiod with the name of a second ConfigMap, which its own one overrides."""


def mesh_config(reader: ObjectReader, namespace: str, config_maps: Sequence[str]) -> dict[str, Any]:
    """Return the mesh configuration of ConfigMaps, later ones first in rank; without defaults.

    Raises ClusterError where none of them exists.
    """
    found = [stored for each in config_maps if (stored := reader.one("v1", "ConfigMap", each, namespace))]
    if not found:
        names = " or ".join(config_maps)
        raise ClusterError(f"no mesh configuration found (ConfigMap {names} in {namespace})")
    settings: dict[str, Any] = {}
    for stored in found:
        settings = merged(settings, _settings_in(stored, namespace))
    return settings


def _settings_in(config_map: Object, namespace: str) -> dict[str, Any]:
    """Return the mesh configuration in a ConfigMap; raises ClusterError where it is no YAML mapping."""
    try:
        settings = yaml.safe_load((config_map.get("data") or {}).get("mesh", "")) or {}
    except yaml.YAMLError as error:
        raise ClusterError(
            f"ConfigMap {name(config_map)} in {namespace} is not valid YAML: {one_line(error)}"
        ) from error
    if not isinstance(settings, dict):
        raise ClusterError(f"ConfigMap {name(config_map)} in {namespace} has no mesh configuration, but {settings!r}")
    return settings


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Apply a mesh configuration over another one as istiod does (ApplyMeshConfig in Istio's pkg/config/mesh).

    Fields replace each other as a whole, except for the proxies' default configuration and default providers, which
    are merged, and lists of extension providers and trust domain aliases, which are joined.
    """
    result = {**base, **over}
    for field in ("defaultConfig", "defaultProviders"):
        if field in base and field in over:
            result[field] = _merged_fields(base[field] or {}, over[field] or {})
    if "extensionProviders" in base and "extensionProviders" in over:
        by_name = {each.get("name"): each for each in [*base["extensionProviders"], *over["extensionProviders"]]}
        result["extensionProviders"] = list(by_name.values())
    aliases = {*(base.get("trustDomainAliases") or []), *(over.get("trustDomainAliases") or [])}
    return result | ({"trustDomainAliases": sorted(aliases)} if aliases else {})


def _merged_fields(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge two default configurations; maps such as proxyMetadata are merged by key."""
    maps = {field for field in base.keys() & over.keys() if isinstance(base[field], dict)}
    return {**base, **over, **{field: {**base[field], **over[field]} for field in maps}}


def root_namespace(settings: dict[str, Any], control_plane: str) -> str:
    """Return the root namespace, whose resources apply to the whole mesh."""
    return str(settings.get("rootNamespace") or control_plane)


def mesh_sidecar(reader: ObjectReader, root: str) -> Object | None:
    """Return the mesh-wide Sidecar resource, None where there is none."""
    for sidecar in reader.objects("networking.istio.io/v1", "Sidecar", root):
        if not (sidecar.get("spec") or {}).get("workloadSelector"):
            return sidecar
    return None


def outbound_mode(settings: dict[str, Any], sidecar: Object | None) -> str:
    """Return the mode for namespaces without a Sidecar: that of the mesh-wide Sidecar overrides the mesh's."""
    policy = ((sidecar or {}).get("spec") or {}).get("outboundTrafficPolicy")
    if policy is not None:
        return str(policy.get("mode") or "REGISTRY_ONLY")  # the default of an empty field
    return str((settings.get("outboundTrafficPolicy") or {}).get("mode", "ALLOW_ANY"))


def sidecar_of(sidecar: Object | None) -> MeshSidecar | None:
    """Return the egress part of the mesh-wide Sidecar; None without a Sidecar."""
    if sidecar is None:
        return None
    spec = sidecar.get("spec") or {}
    hosts = [str(host) for egress in spec.get("egress") or [] for host in egress.get("hosts") or []]
    mode = (spec.get("outboundTrafficPolicy") or {}).get("mode")
    return MeshSidecar(name(sidecar), tuple(hosts), str(mode) if mode else None)


def access_log(reader: ObjectReader, settings: dict[str, Any], root: str) -> MeshLog:
    """Return the default access log of proxies; what a proxy really logs is in its own configuration.

    A Telemetry of the root namespace comes first, then default providers, then accessLogFile, as in Istio.
    """
    entries = _telemetry_logs(reader, root)
    if any(entry.get("disabled") for entry in entries):
        return MeshLog()
    named = [provider.get("name") for entry in entries for provider in entry.get("providers") or []]
    default = (settings.get("defaultProviders") or {}).get("accessLogging") or []
    providers = named or default
    if not providers and not settings.get("accessLogFile"):
        return MeshLog()
    encoding = CUSTOM if settings.get("accessLogFormat") else str(settings.get("accessLogEncoding", "TEXT")).lower()
    others = [str(each) for each in providers if each != _BUILT_IN or _redefined(settings)]
    return MeshLog(
        encoding=encoding if not providers or len(others) < len(providers) else "",
        providers=tuple(others),
        filtered=any(entry.get("filter") for entry in entries),
        by_telemetry=bool(entries),
    )


def telemetry_services(reader: ObjectReader, settings: dict[str, Any], root: str) -> str:
    """Return the hosts that proxies send traces and logs to, as `HOST, HOST`: the services of the providers in use."""
    defaults = settings.get("defaultProviders") or {}
    used = {provider for kind in ("tracing", "accessLogging") for provider in defaults.get(kind) or []}
    for telemetry in reader.objects("telemetry.istio.io/v1", "Telemetry", root):
        spec = telemetry.get("spec") or {}
        entries = [*(spec.get("tracing") or []), *(spec.get("accessLogging") or [])]
        used |= {provider.get("name") for entry in entries for provider in entry.get("providers") or []}
    providers = [each for each in settings.get("extensionProviders") or [] if each.get("name") in used]
    addressed = [kind for each in providers for kind in each.values() if isinstance(kind, dict) and kind.get("service")]
    hosts = {str(kind["service"]).rpartition("/")[2] for kind in addressed}  # [NAMESPACE/]HOST
    return ", ".join(sorted(hosts)) or NO_SERVICE


_BUILT_IN = "envoy"
"""The name of the provider that every mesh has: a log with the format of the mesh configuration."""


def _redefined(settings: dict[str, Any]) -> bool:
    return any(each.get("name") == _BUILT_IN for each in settings.get("extensionProviders") or [])


def _telemetry_logs(reader: ObjectReader, namespace: str) -> list[dict[str, Any]]:
    """Return the access logs that a Telemetry of the namespace states for all its workloads."""
    for telemetry in reader.objects("telemetry.istio.io/v1", "Telemetry", namespace):
        spec = telemetry.get("spec") or {}
        if spec.get("accessLogging") and not spec.keys() & {"selector", "targetRefs", "targetRef"}:
            return list(spec["accessLogging"])
    return []


def mesh_settings(settings: dict[str, Any]) -> str:
    """Return the settings among MESH_SETTINGS that differ from the default, as `NAME=VALUE NAME=VALUE`."""
    changed = {name: value for name, default in MESH_SETTINGS.items() if (value := _field(settings, name)) != default}
    texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in changed.items()}
    return " ".join(f"{name}={text.replace(' ', '')}" for name, text in texts.items()) or DEFAULT_SETTINGS


def _field(settings: dict[str, Any], name: str) -> Any:
    """Return the value of a field, such as `defaultHttpRetryPolicy.retryOn`; the default where there is none."""
    value: Any = settings
    for part in name.split("."):
        value = (value or {}).get(part)
    return MESH_SETTINGS[name] if value is None else value


def dns_capture(settings: dict[str, Any]) -> str:
    """Return whether sidecars capture DNS queries, and whether proxies allocate addresses (before istiod did)."""
    metadata = (settings.get("defaultConfig") or {}).get("proxyMetadata") or {}
    if str(metadata.get("ISTIO_META_DNS_CAPTURE", "")).lower() != "true":
        return "off"
    allocates = str(metadata.get("ISTIO_META_DNS_AUTO_ALLOCATE", "")).lower() == "true"
    return "on, with addresses allocated by the proxy" if allocates else "on"
