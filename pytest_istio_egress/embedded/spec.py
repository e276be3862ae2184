"""The specification of a cluster, and the cluster that results."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.ip_families import NETWORKS

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
RELEASE = re.compile(r"\d+\.\d+")
MESH_MODES = ("REGISTRY_ONLY", "ALLOW_ANY")
IP_FAMILIES = tuple(NETWORKS)
ZTUNNEL_HINT = "--ztunnel PATH  # your own build, or the file of Istio's image: see docs/ambient.md"


@dataclass(frozen=True)
class ClusterSpec:
    """A cluster to start.

    `istio` is a release in versions.toml, or a tag, version or commit of module istio.io/istio; `envoy` is a version of
    upstream Envoy, `proxy_binary` an Envoy of the user's own for Istio's proxies. Without them the default release runs
    with the newest Envoy, another release with the one that belongs to it.
    `ambient` adds Istio's CNI agent and the node proxy, which is the user's binary `ztunnel`.
    `mesh_mode` is meshConfig.outboundTrafficPolicy.mode, `compatibility` Istio's compatibilityVersion such as 1.28
    (None: its own behaviour). `ip_family` is one of IP_FAMILIES; dual has IPv4 first.
    Raises EmbeddedError for a name that is not of lower-case letters, digits and '-' (at most 32), for a
    compatibility that is not a release, for an unknown family, and where two Envoys are given, and
    where one of `ambient` and `ztunnel` is given without the other.
    """

    name: str = "default"
    istio: str | None = None
    envoy: str | None = None
    mesh_mode: str = "REGISTRY_ONLY"
    compatibility: str | None = None
    proxy_binary: Path | None = None
    ip_family: str = "ipv4"
    ambient: bool = False
    ztunnel: Path | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.mesh_mode not in MESH_MODES:
            raise EmbeddedError(f"invalid outboundTrafficPolicy mode {self.mesh_mode!r}: use {' or '.join(MESH_MODES)}")
        if self.ip_family not in IP_FAMILIES:
            raise EmbeddedError(f"invalid IP family {self.ip_family!r}: use {', '.join(IP_FAMILIES)}")
        if self.compatibility is not None and not RELEASE.fullmatch(self.compatibility):
            raise EmbeddedError(f"invalid compatibilityVersion {self.compatibility!r}: use a release such as 1.28")
        if self.ambient and self.ztunnel is None:
            raise EmbeddedError("an ambient mesh needs a ztunnel binary, which is on no package registry", ZTUNNEL_HINT)
        if self.ztunnel is not None and not self.ambient:
            raise EmbeddedError(f"the ztunnel binary {self.ztunnel} is for an ambient mesh: add --ambient")
        if self.envoy is not None and self.proxy_binary is not None:
            raise EmbeddedError(
                f"Envoy {self.envoy} and the proxy binary {self.proxy_binary} are both given: use one of them"
            )


def check_name(name: str) -> None:
    """Raise EmbeddedError unless `name` can name a cluster, its folder and its cgroups."""
    if not NAME.fullmatch(name):
        raise EmbeddedError(f"invalid cluster name {name!r}: use up to 32 lower-case letters, digits and '-'")


@dataclass(frozen=True)
class EmbeddedCluster:
    """A running cluster. `started` is whether this call started it, rather than found it running.

    `notes` are sentences for a report, such as that a pinned version is no longer served.
    `istio`, `envoy`, `kubernetes` are versions; `binaries` holds kubectl and istioctl.
    """

    name: str
    kubeconfig: Path
    started: bool
    notes: tuple[str, ...]
    istio: str
    envoy: str
    kubernetes: str
    binaries: Path
