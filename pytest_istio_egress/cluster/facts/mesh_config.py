"""What the mesh's configuration says, and the root namespace's resources that hold for the whole mesh."""

from __future__ import annotations

from typing import Any

import yaml

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.facts.objects import Object, ObjectReader, name
from pytest_istio_egress.model.mesh_facts import MeshSidecar

CUSTOM = "a format of the mesh's own"
NO_LOG = "none"


def mesh_config(look: ObjectReader, namespace: str, config_map: str) -> dict[str, Any]:
    """Return the mesh configuration as the ConfigMap holds it; defaults are not in it."""
    found = look.one("v1", "ConfigMap", config_map, namespace)
    if found is None:
        raise ClusterError(f"Istio's mesh configuration (ConfigMap {config_map} in {namespace}) isn't there")
    settings: dict[str, Any] = yaml.safe_load((found.get("data") or {}).get("mesh", "")) or {}
    return settings


def root_namespace(settings: dict[str, Any], control_plane: str) -> str:
    """Return the namespace whose resources hold for the whole mesh."""
    return str(settings.get("rootNamespace") or control_plane)


def mesh_sidecar(look: ObjectReader, root: str) -> Object | None:
    """Return the root namespace's Sidecar for everybody, None where there is none."""
    for found in look.objects("networking.istio.io/v1", "Sidecar", root):
        if not (found.get("spec") or {}).get("workloadSelector"):
            return found
    return None


def outbound_mode(settings: dict[str, Any], sidecar: Object | None) -> str:
    """Return the policy that holds where no namespace has its own: the mesh-wide Sidecar's before the mesh's."""
    said = ((sidecar or {}).get("spec") or {}).get("outboundTrafficPolicy")
    if said is not None:
        return str(said.get("mode") or "REGISTRY_ONLY")  # Sidecar's own default, where the field is there but empty
    return str((settings.get("outboundTrafficPolicy") or {}).get("mode", "ALLOW_ANY"))


def described_sidecar(sidecar: Object | None) -> MeshSidecar | None:
    """Return the part of the mesh-wide Sidecar that decides what egress traffic does; None without a Sidecar."""
    if sidecar is None:
        return None
    spec = sidecar.get("spec") or {}
    hosts = [str(host) for egress in spec.get("egress") or [] for host in egress.get("hosts") or []]
    mode = (spec.get("outboundTrafficPolicy") or {}).get("mode")
    return MeshSidecar(name(sidecar), tuple(hosts), str(mode) if mode else None)


def access_log(look: ObjectReader, settings: dict[str, Any], root: str) -> str:
    """Return what proxies log by default: text, json, a format of the mesh's own, or none; and by what."""
    written = settings.get("accessLogFile")
    by_telemetry = telemetry_logs(look, root)
    if by_telemetry is False or (by_telemetry is None and not written):
        return NO_LOG
    shape = CUSTOM if settings.get("accessLogFormat") else str(settings.get("accessLogEncoding", "TEXT")).lower()
    return shape + (" (Telemetry)" if by_telemetry else "")


def telemetry_logs(look: ObjectReader, namespace: str) -> bool | None:
    """Whether a namespace's Telemetry for all its workloads logs accesses; None where it says nothing on it."""
    for found in look.objects("telemetry.istio.io/v1", "Telemetry", namespace):
        spec = found.get("spec") or {}
        if "selector" in spec or "targetRefs" in spec:
            continue
        for logging in spec.get("accessLogging") or []:
            return not logging.get("disabled", False)
    return None


def dns_capture(settings: dict[str, Any]) -> str:
    """Return whether sidecars answer DNS queries, and whether they make addresses up the old way."""
    metadata = (settings.get("defaultConfig") or {}).get("proxyMetadata") or {}
    on = str(metadata.get("ISTIO_META_DNS_CAPTURE", "")).lower() == "true"
    allocates = str(metadata.get("ISTIO_META_DNS_AUTO_ALLOCATE", "")).lower() == "true"
    return "off" if not on else "on, with addresses allocated by the proxy" if allocates else "on"
