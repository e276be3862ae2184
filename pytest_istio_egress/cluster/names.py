"""The run's own names: how those in plain manifests become names that no other run has.

Three kinds of name stand in manifests and probes for something that exists once per run. All are reserved, so that
a manifest pasted into kubectl as it is can harm nobody:

    egress-client            a namespace of the suite       egress-client-k3x9q-gw0
    api.test                 a host outside the mesh        api.k3x9q.test
    192.0.2.80               an outside server's address    10.96.17.4

What manifests call by the names of Istio's documents (istio-system) becomes what the mesh has: mesh_names.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_istio_egress.cluster.mesh_names import GATEWAY, MeshNames
from pytest_istio_egress.model.placement import Placement

SHARED_NAMESPACES = ("egress-outside", "egress-plain")
"""Made once per run. They hold servers and clients that no case changes."""
WORKER_NAMESPACES = ("egress-client", "egress-neighbour")
"""Made once per worker: a Sidecar resource rules its whole namespace, so workers can't share one."""
GATEWAY_NAMESPACE = "egress-gateway"
"""A worker's own egress gateway, whose secrets and policies concern nobody else; made when a case first needs it."""
OF_ONE_WORKER = (*WORKER_NAMESPACES, GATEWAY_NAMESPACE)
"""All that are a worker's own."""

_NAMESPACE = re.compile(r"(?<![\w-])(" + "|".join(SHARED_NAMESPACES + OF_ONE_WORKER) + r")(?![\w-])")
_HOST = re.compile(r"(?<=[\w*])\.test(?![\w-])(?!\.\w)")
_ADDRESS = re.compile(r"(?<![\d.])192\.0\.2\.\d{1,3}(?![\d.]*\d)")


class UnknownAddressError(Exception):
    """A manifest or probe uses a reserved address that no outside server stands for."""


class Addresses(Mapping[str, str]):
    """The addresses that 192.0.2.x stands for: unknown before the servers exist, others after a server's restart."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._known: Mapping[str, str] = dict(known or {})

    def update(self, known: Mapping[str, str]) -> None:
        """Replace all of them at once: threads that render meanwhile see either the old or the new ones."""
        self._known = dict(known)

    def __getitem__(self, reserved: str) -> str:
        """Return the address that a reserved one stands for."""
        return self._known[reserved]

    def __iter__(self) -> Iterator[str]:
        """Yield the reserved addresses."""
        return iter(self._known)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._known)


@dataclass(frozen=True)
class Names:
    """The names of one worker of one run; `addresses` maps 192.0.2.x to what it stands for, `mesh` has the mesh's own.

    `placement` says what pods differ in from the plain manifests.
    """

    run: str
    worker: str
    addresses: Addresses = field(default_factory=Addresses)
    mesh: MeshNames = field(default_factory=MeshNames)
    placement: Placement = field(default_factory=Placement)

    def namespace(self, name: str) -> str:
        """Return the run's namespace for one of the suite's; any other name is left as it is."""
        return _NAMESPACE.sub(self._namespace, name)

    def selector(self, workload: str) -> str:
        """Return what selects the pods of `<app label>.<namespace>`, for kubectl: a gateway has its own labels."""
        if workload == GATEWAY:
            return self.render(self.mesh.gateway.selector)
        return f"app={workload.partition('.')[0]}"

    def namespace_of(self, workload: str) -> str:
        """Return the namespace of `<app label>.<namespace>`."""
        return self.namespace(self.mesh.gateway.namespace if workload == GATEWAY else workload.partition(".")[2])

    def render(self, text: str) -> str:
        """Replace every reserved name in a text."""
        text = self.mesh.render(text)
        text = _NAMESPACE.sub(self._namespace, text)
        text = _HOST.sub(f".{self.run}.test", text)
        return _ADDRESS.sub(self._address, text)

    def render_manifest(self, value: Any) -> Any:
        """Replace every reserved name in all strings (keys included) of a YAML document."""
        if isinstance(value, str):
            return self.render(value)
        if isinstance(value, list):
            return [self.render_manifest(item) for item in self.mesh.render_items(value)]
        if isinstance(value, dict):
            return {
                self.render_manifest(key): self.render_manifest(item)
                for key, item in self.mesh.render_labels(value).items()
            }
        return value

    def unrender(self, text: str) -> str:
        """Undo `render`: what a report shows are the names that the manifests use."""
        text = text.replace(f".{self.run}.test", ".test")
        for name in OF_ONE_WORKER:
            text = text.replace(f"{name}-{self.run}-{self.worker}", name)
        for name in SHARED_NAMESPACES:
            text = text.replace(f"{name}-{self.run}", name)
        for reserved, address in self.addresses.items():
            text = re.sub(rf"(?<![\d.]){re.escape(address)}(?![\d]|\.\d)", reserved, text)
        return self.mesh.unrender(text)

    def _namespace(self, match: re.Match[str]) -> str:
        name = match[1]
        return f"{name}-{self.run}" if name in SHARED_NAMESPACES else f"{name}-{self.run}-{self.worker}"

    def _address(self, match: re.Match[str]) -> str:
        try:
            return self.addresses[match[0]]
        except KeyError:
            known = ", ".join(sorted(self.addresses)) or "none"
            raise UnknownAddressError(
                f"{match[0]} stands for no outside server; known are {known} (fixtures/outside.yaml)"
            ) from None
