"""What a caller asks for, and what it gets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pytest_istio_egress.embedded.errors import EmbeddedError

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
RELEASE = re.compile(r"\d+\.\d+")
MESH_MODES = ("REGISTRY_ONLY", "ALLOW_ANY")


@dataclass(frozen=True)
class ClusterSpec:
    """A cluster to start.

    `istio` is a release in versions.toml, or a tag, version or commit of module istio.io/istio; `envoy` is a version of
    upstream Envoy, `proxy_binary` an Envoy of the user's own for Istio's proxies. Without them the default release runs
    with the newest Envoy, another release with the one that belongs to it.
    `mesh_mode` is meshConfig.outboundTrafficPolicy.mode, `compatibility` Istio's compatibilityVersion such as 1.28
    (None: its own behaviour).
    Raises EmbeddedError for a name that is not of lower-case letters, digits and '-' (at most 32), and for a
    compatibility that is no release, and where two Envoys are asked for.
    """

    name: str = "default"
    istio: str | None = None
    envoy: str | None = None
    mesh_mode: str = "REGISTRY_ONLY"
    compatibility: str | None = None
    proxy_binary: Path | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.mesh_mode not in MESH_MODES:
            raise EmbeddedError(f"mesh mode {self.mesh_mode!r} is neither {' nor '.join(MESH_MODES)}")
        if self.compatibility is not None and not RELEASE.fullmatch(self.compatibility):
            raise EmbeddedError(f"compatibility {self.compatibility!r} is no release of Istio: write it like 1.28")
        if self.envoy is not None and self.proxy_binary is not None:
            raise EmbeddedError(f"proxies run either Envoy {self.envoy} or {self.proxy_binary}: name one of them")


def check_name(name: str) -> None:
    """Raise EmbeddedError unless `name` can name a cluster, its folder and its cgroups."""
    if not NAME.fullmatch(name):
        raise EmbeddedError(f"cluster name {name!r}: use up to 32 lower-case letters, digits and '-'")


@dataclass(frozen=True)
class EmbeddedCluster:
    """A cluster that runs. `started` tells whether this call started it or found it running.

    `notes` are sentences that belong into a report, such as a pinned version that is no longer served.
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
