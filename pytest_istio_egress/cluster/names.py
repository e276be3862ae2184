"""Renders the reserved names of plain manifests as names of one run, and back.

    egress-client            a namespace of the suite          egress-client-k3x9q-gw0
    api.test                 a host outside the mesh           api.k3x9q.test
    192.0.2.80               an external server's address      10.96.17.4, or fd00:10:96::11:4

All three are reserved, so that a manifest can be pasted into kubectl without harm. Addresses are rendered by
address_names.py, the names of Istio's documentation (istio-system) by mesh_names.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from pytest_istio_egress.cluster.address_names import Addresses
from pytest_istio_egress.cluster.mesh_names import GATEWAY, MeshNames
from pytest_istio_egress.model.placement import Placement

SHARED_NAMESPACES = ("egress-outside", "egress-plain")
"""Created once per run, for servers and clients that no test changes."""
WORKER_NAMESPACES = ("egress-client", "egress-neighbour")
"""Created once per worker: a Sidecar resource applies to its whole namespace, so workers cannot share one."""
GATEWAY_NAMESPACE = "egress-gateway"
"""The egress gateway of one worker, with its secrets and policies; created when a test first needs it."""
AMBIENT_NAMESPACE = "egress-ambient"
"""The clients and the waypoint of one worker in an ambient mesh; created when a test first needs it."""
PREPARED_OF_ONE_WORKER = (*WORKER_NAMESPACES, GATEWAY_NAMESPACE)
"""Those that are prepared for a worker of a user who may not create any: tests of ambient mode are skipped there."""
OF_ONE_WORKER = (*PREPARED_OF_ONE_WORKER, AMBIENT_NAMESPACE)
"""All namespaces of one worker."""

_NAMESPACE = re.compile(r"(?<![\w-])(" + "|".join(SHARED_NAMESPACES + OF_ONE_WORKER) + r")(?![\w-])")
_HOST = re.compile(r"(?<=[\w*])\.test(?![\w-])(?!\.\w)")


@dataclass(frozen=True)
class Names:
    """The names of one worker of one run."""

    run: str
    """The run's id."""
    worker: str
    """The worker's id, such as gw0."""
    addresses: Addresses = field(default_factory=Addresses)
    mesh: MeshNames = field(default_factory=MeshNames)
    placement: Placement = field(default_factory=Placement)

    def namespace(self, name: str) -> str:
        """Return the run's namespace for a reserved one; any other name stays as it is."""
        return _NAMESPACE.sub(self._namespace, name)

    @property
    def namespaces(self) -> frozenset[str]:
        """The names of all namespaces of this worker, including those it shares with others."""
        return frozenset(map(self.namespace, (*SHARED_NAMESPACES, *OF_ONE_WORKER)))

    @property
    def prepared_namespaces(self) -> frozenset[str]:
        """Those of them that are prepared for a user who may not create any."""
        return frozenset(map(self.namespace, (*SHARED_NAMESPACES, *PREPARED_OF_ONE_WORKER)))

    def selector(self, workload: str) -> str:
        """Return the label selector of the pods of `<app label>.<namespace>`, in kubectl's syntax."""
        if workload == GATEWAY:
            return self.render(self.mesh.gateway.selector)
        return f"app={workload.partition('.')[0]}"

    def namespace_of(self, workload: str) -> str:
        """Return the run's namespace of `<app label>.<namespace>`."""
        return self.namespace(self.mesh.gateway.namespace if workload == GATEWAY else workload.partition(".")[2])

    def render(self, text: str) -> str:
        """Replace every reserved name in a text."""
        text = self.mesh.render(text)
        text = _NAMESPACE.sub(self._namespace, text)
        text = _HOST.sub(f".{self.run}.test", text)
        return self.addresses.render(text, self.mesh.ip_families)

    def render_manifest(self, value: Any) -> Any:
        """Replace every reserved name in all strings of a YAML document, including keys."""
        if isinstance(value, str):
            return self.render(value)
        if isinstance(value, list):
            return [self.render_manifest(item) for item in self.mesh.render_items(value)]
        if isinstance(value, dict):
            return {
                self.render_manifest(key): self.render_manifest(item)
                for key, item in self.mesh.render_labels(self.mesh.render_address_type(value)).items()
            }
        return value

    def unrender(self, text: str) -> str:
        """Undo `render`: reports show the names of the manifests."""
        text = text.replace(f".{self.run}.test", ".test")
        for name in OF_ONE_WORKER:
            text = text.replace(f"{name}-{self.run}-{self.worker}", name)
        for name in SHARED_NAMESPACES:
            text = text.replace(f"{name}-{self.run}", name)
        return self.mesh.unrender(self.addresses.unrender(text, self.mesh.ip_families))

    def _namespace(self, match: re.Match[str]) -> str:
        name = match[1]
        return f"{name}-{self.run}" if name in SHARED_NAMESPACES else f"{name}-{self.run}-{self.worker}"
