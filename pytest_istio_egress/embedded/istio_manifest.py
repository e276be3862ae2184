"""Renders Istio's own installation manifest with the istioctl that was built, once per kind of mesh."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_modules import last_line
from pytest_istio_egress.embedded.node_plan import CNI_CONFIGURATION, CNI_PLUGINS

# Istio's own filters, which upstream Envoy lacks: istiod sends configuration with them, which a proxy without them
# rejects, so that no new pod becomes ready, unless the setting turns them off. The names are those under which a
# filter is linked into Envoy; of each group one has to be there.
FILTERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "values.pilot.env.PILOT_ENABLE_METADATA_EXCHANGE=false": (
        ("envoy.filters.network.metadata_exchange",),
        ("envoy.filters.http.peer_metadata",),
    ),
    "values.pilot.env.PILOT_ENABLE_ALPN_FILTER=false": (("istio.alpn", "envoy.filters.http.alpn"),),
    "values.telemetry.enabled=false": (("envoy.filters.http.istio_stats",),),
}
FOR_UPSTREAM_ENVOY = tuple(FILTERS)
# One node needs no autoscaling, and there are no metrics to scale by; istiod asks for 2 GiB otherwise.
ONE_NODE = (
    "values.pilot.autoscaleEnabled=false",
    "values.gateways.istio-egressgateway.autoscaleEnabled=false",
    "values.pilot.resources.requests.cpu=50m",
    "values.pilot.resources.requests.memory=128Mi",
    "values.global.proxy.resources.requests.cpu=10m",
    "values.global.proxy.resources.requests.memory=40Mi",
)
# Istio's profile "ambient", with the requests of one node. Its proxies are in the usual images, not in distroless ones.
AMBIENT = (
    "components.cni.enabled=true",
    "components.ztunnel.enabled=true",
    "values.cni.ambient.enabled=true",
    f"values.cni.cniConfDir={CNI_CONFIGURATION}",
    f"values.cni.cniBinDir={CNI_PLUGINS}",
    "values.cni.resources.requests.cpu=10m",
    "values.cni.resources.requests.memory=40Mi",
    "values.ztunnel.resources.requests.cpu=10m",
    "values.ztunnel.resources.requests.memory=40Mi",
    "values.pilot.env.PILOT_ENABLE_AMBIENT=true",
)
# Sidecars that send over HBONE, and proxies that know the workloads of the mesh, need Istio's own Envoy.
AMBIENT_WITH_ISTIOS_ENVOY = ("meshConfig.defaultConfig.proxyMetadata.ISTIO_META_ENABLE_HBONE=true",)
# Upstream Envoy as a waypoint: without Istio's bootstrap extension for workload discovery, and with the types of values
# (envoy.string) that istiod uses for proxies up to this version; the later ones are Istio's own.
_WAYPOINT = "values.gatewayClasses.istio-waypoint.deployment.spec.template.spec.containers[0]"
AMBIENT_WITH_UPSTREAM_ENVOY = (
    f"{_WAYPOINT}.name=istio-proxy",
    f"{_WAYPOINT}.env[0].name=ISTIO_META_ISTIO_VERSION",
    f"{_WAYPOINT}.env[0].value=1.29.1",
)
# Istio's documentation on dual stack: without them proxies listen on both families, but send to one.
DUAL_STACK = (
    "values.pilot.env.ISTIO_DUAL_STACK=true",
    "meshConfig.defaultConfig.proxyMetadata.ISTIO_DUAL_STACK=true",
)


def settings_for(extensions: Collection[str]) -> tuple[str, ...]:
    """Return the settings that an Envoy with these extensions needs: none if it has all of Istio's filters."""
    return tuple(
        setting
        for setting, needed in FILTERS.items()
        if not all(any(name in extensions for name in names) for names in needed)
    )


def filters_missing(extensions: Collection[str]) -> tuple[str, ...]:
    """Return Istio's filters that an Envoy with these extensions lacks."""
    groups = [names for needed in FILTERS.values() for names in needed]
    return tuple(names[0] for names in groups if not any(name in extensions for name in names))


def istio_settings(
    mesh_mode: str,
    release: str,
    compatibility: str | None = None,
    proxy_image: str | None = None,
    for_proxy: tuple[str, ...] = FOR_UPSTREAM_ENVOY,
    ip_family: str = "ipv4",
    *,
    ambient: bool = False,
) -> tuple[str, ...]:
    """Return what goes behind istioctl's --set, in order; None leaves out what Istio has a default for."""
    chosen = {
        "compatibilityVersion": compatibility,
        "values.global.proxy.image": proxy_image,
        "values.global.proxy_init.image": proxy_image,
    }
    return (
        "profile=minimal",
        "hub=docker.io/istio",
        f"tag={release}",
        "components.egressGateways[0].name=istio-egressgateway",
        "components.egressGateways[0].enabled=true",
        f"meshConfig.outboundTrafficPolicy.mode={mesh_mode}",
        "meshConfig.accessLogFile=/dev/stdout",
        # Without it only objects with a revision are validated; `istioctl install` sets it by itself.
        "values.defaultRevision=default",
        *for_proxy,
        *(DUAL_STACK if ip_family == "dual" else ()),
        *ONE_NODE,
        *(_ambient_settings(for_proxy) if ambient else ()),
        *(f"{name}={value}" for name, value in chosen.items() if value),
    )


def _ambient_settings(for_proxy: tuple[str, ...]) -> tuple[str, ...]:
    return (*AMBIENT, *(AMBIENT_WITH_UPSTREAM_ENVOY if for_proxy else AMBIENT_WITH_ISTIOS_ENVOY))


def make_istio_manifest(istioctl: Path, settings: tuple[str, ...], definitions: Path, into: Path) -> None:
    """Write `into`/istio.json: the objects of the manifest and the kinds defined in a folder, as a list."""
    arguments = [part for setting in settings for part in ("--set", setting)]
    done = subprocess.run(
        [str(istioctl), "manifest", "generate", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise EmbeddedError(f"istioctl manifest generate failed: {last_line(done.stderr)}")
    objects = [tight(found) for found in yaml.load_all(done.stdout, Loader=_loader()) if found]
    for file in sorted(definitions.glob("*.yaml")):
        defined = yaml.load_all(file.read_text(encoding="utf-8"), Loader=_loader())
        objects += [found for found in defined if found and found["kind"] == "CustomResourceDefinition"]
    (into / "istio.json").write_text(json.dumps(objects), encoding="utf-8")


def _loader() -> Any:  # the C loader has no type of its own and is not in every PyYAML
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def tight(found: dict[str, Any]) -> dict[str, Any]:
    """Set readiness probes to start at once and to run every second, so that a start does not wait for them."""
    if found["kind"] in {"Deployment", "DaemonSet"}:
        for container in found["spec"]["template"]["spec"]["containers"]:
            if probe := container.get("readinessProbe"):
                probe.update(initialDelaySeconds=0, periodSeconds=1)
    return found
