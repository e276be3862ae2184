"""The settings of the process of the node: paths, addresses, and the folders of its components."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_istio_egress.embedded.ip_families import NETWORKS, Network

RUN = Path("/run/istio-egress")  # a tmpfs inside the node's mount namespace: it ends with the node
# Istio's CNI agent adds its plugin to the node's own folders, which end with the node, and not to the machine's.
CNI_CONFIGURATION, CNI_PLUGINS = RUN / "cni", RUN / "cni-plugins"
NETWORK_POLICY_HOLDS = RUN / "network-policy.holds"
CONTAINERD_SOCKET = "/run/containerd.sock"
ETCD = "127.0.0.1:2379"


@dataclass(frozen=True)
class NodePlan:
    """Read by the node from plan.json; every path is absolute. `components` are folders of binaries."""

    name: str
    state: Path
    components: dict[str, Path]
    images: Path
    istio_manifest: Path
    cni_plugins: Path
    pause_image: str
    cgroups: tuple[Path, ...]
    ip_family: str = "ipv4"
    ambient: bool = False
    upstream_waypoints: bool = False

    @property
    def networks(self) -> tuple[Network, ...]:
        """The addresses in each of the cluster's IP families, the first one first."""
        return NETWORKS[self.ip_family]

    @property
    def node(self) -> str:
        """The name of the one node."""
        return f"istio-egress-{self.name}"

    @property
    def pki(self) -> Path:
        """The folder of certificates and kubeconfigs."""
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        """One file per component."""
        return self.state / "logs"

    def binary(self, component: str, name: str | None = None) -> str:
        """Return the path of a binary, which is named like its component unless `name` is given."""
        return str(self.components[component] / (name or component))

    def write(self) -> None:
        """Write plan.json for the node."""
        plain = json.dumps(asdict(self), default=str)
        (self.state / "plan.json").write_text(plain, encoding="utf-8")

    @staticmethod
    def read(state: Path) -> NodePlan:
        """Read plan.json back."""
        data: dict[str, Any] = json.loads((state / "plan.json").read_text(encoding="utf-8"))
        paths = {name: Path(data[name]) for name in ("state", "images", "istio_manifest", "cni_plugins")}
        components = {name: Path(path) for name, path in data["components"].items()}
        cgroups = tuple(Path(folder) for folder in data["cgroups"])
        return NodePlan(**{**data, **paths, "components": components, "cgroups": cgroups})
