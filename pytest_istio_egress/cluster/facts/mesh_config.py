"""Facts from the mesh configuration and from mesh-wide resources of the root namespace."""

from __future__ import annotations

from typing import Any

import yaml

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.facts.objects import Object, ObjectReader, name
from pytest_istio_egress.model.mesh_facts import MeshSidecar

CUSTOM = "custom format"
NO_LOG = "none"


def mesh_config(reader: ObjectReader, namespace: str, config_map: str) -> dict[str, Any]:
    """Return the mesh configuration of a ConfigMap, without defaults; raises ClusterError."""
    stored = reader.one("v1", "ConfigMap", config_map, namespace)
    if stored is None:
        raise ClusterError(f"no mesh configuration found (ConfigMap {config_map} in {namespace})")
    settings: dict[str, Any] = yaml.safe_load((stored.get("data") or {}).get("mesh", "")) or {}
    return settings


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


def access_log(reader: ObjectReader, settings: dict[str, Any], root: str) -> str:
    """Return the default access log of proxies: text, json, CUSTOM or NO_LOG, and whether a Telemetry enables it."""
    by_telemetry = telemetry_logs(reader, root)
    if by_telemetry is False or (by_telemetry is None and not settings.get("accessLogFile")):
        return NO_LOG
    encoding = CUSTOM if settings.get("accessLogFormat") else str(settings.get("accessLogEncoding", "TEXT")).lower()
    return encoding + (" (Telemetry)" if by_telemetry else "")


def telemetry_logs(reader: ObjectReader, namespace: str) -> bool | None:
    """Whether the Telemetry of a namespace enables the access log for all its workloads; None where it is unset."""
    for telemetry in reader.objects("telemetry.istio.io/v1", "Telemetry", namespace):
        spec = telemetry.get("spec") or {}
        if "selector" in spec or "targetRefs" in spec:
            continue
        for logging in spec.get("accessLogging") or []:
            return not logging.get("disabled", False)
    return None


def dns_capture(settings: dict[str, Any]) -> str:
    """Return whether sidecars capture DNS queries, and whether proxies allocate addresses (before istiod did)."""
    metadata = (settings.get("defaultConfig") or {}).get("proxyMetadata") or {}
    if str(metadata.get("ISTIO_META_DNS_CAPTURE", "")).lower() != "true":
        return "off"
    allocates = str(metadata.get("ISTIO_META_DNS_AUTO_ALLOCATE", "")).lower() == "true"
    return "on, with addresses allocated by the proxy" if allocates else "on"
