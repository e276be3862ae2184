"""The table of facts: a detector for each, and how a mesh is looked at with all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.facts import gateways, mesh_config, revisions
from pytest_istio_egress.cluster.facts import platform as failure_context
from pytest_istio_egress.cluster.facts.objects import Object, ObjectReader
from pytest_istio_egress.model.mesh_facts import (
    DEFAULT_REVISION,
    NO_GATEWAY,
    NO_SIDECAR,
    OWN_GATEWAY,
    RUNS_OWN_GATEWAY,
    Fact,
    Gateway,
    MeshFacts,
    MeshSidecar,
)


@dataclass(frozen=True)
class FactOverrides:
    """What the user said instead of having it found out: the revision, the gateway (own, none or NAMESPACE/SERVICE),
    and facts by name; `places` says by which of these three words where it was said."""

    revision: str | None = None
    gateway: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)

    def fact(self, name: str) -> str:
        """Return a fact that was given, empty if it wasn't."""
        return self.facts.get(name, "")


class Detection:
    """One look at a mesh: what several detectors need, each asked for once."""

    def __init__(self, look: ObjectReader, given: FactOverrides) -> None:
        self.look = look
        self.given = given

    @cached_property
    def injectors(self) -> list[revisions.Injector]:
        """Every label that has pods injected."""
        return revisions.injectors(self.look)

    @cached_property
    def injector(self) -> revisions.Injector:
        """The label that the run's namespaces get."""
        given = self.given.fact("injection"), self.given.fact("control-plane")
        if all(given):
            key, _, value = given[0].partition("=")
            revision = self.given.revision or DEFAULT_REVISION
            service = "istiod" if revision == DEFAULT_REVISION else f"istiod-{revision}"
            return revisions.Injector((key, value), revision, service, given[1])
        return revisions.chosen(self.injectors, self.given.revision)

    @cached_property
    def control_plane(self) -> str:
        """The control plane's namespace."""
        return self.given.fact("control-plane") or self.injector.namespace

    @cached_property
    def istiod(self) -> Object:
        """The control plane's Deployment."""
        return revisions.istiod(self.look, self.control_plane, self.injector.revision)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The mesh configuration."""
        config_map = "istio" if self.injector.revision == DEFAULT_REVISION else f"istio-{self.injector.revision}"
        return mesh_config.mesh_config(self.look, self.control_plane, config_map)

    @property
    def root(self) -> str:
        """The namespace whose resources hold for the whole mesh."""
        return mesh_config.root_namespace(self.settings, self.control_plane)

    @cached_property
    def sidecar(self) -> Object | None:
        """The mesh-wide Sidecar."""
        return mesh_config.mesh_sidecar(self.look, self.root)

    @cached_property
    def gateways(self) -> list[Gateway]:
        """The mesh's egress gateways."""
        return gateways.egress_gateways(self.look, self.settings, self.root)

    def _first_gateway(self) -> Gateway | None:
        try:
            return self.gateways[0] if self.gateways else None
        except ClusterError:
            return None  # the fact "egress-gateways" says why

    def gateway(self) -> Gateway | None:
        """Return the egress gateway to ask."""
        match self.given.gateway:
            case None:
                return self._first_gateway()
            case word if word == OWN_GATEWAY:
                return RUNS_OWN_GATEWAY
            case word if word == NO_GATEWAY:
                return None
            case named:
                return gateways.named_gateway(self.look, named, self.settings, self.root)


DETECTORS: dict[str, Callable[[Detection], str]] = {
    "istio": lambda of: revisions.version(of.istiod),
    "revision": lambda of: of.injector.revision,
    "revisions": lambda of: revisions.described(of.look, of.injectors),
    "control-plane": lambda of: of.control_plane,
    "injection": lambda of: str(of.injector),
    "outbound-mode": lambda of: mesh_config.outbound_mode(of.settings, of.sidecar),
    "mesh-sidecar": lambda of: str(mesh_config.described_sidecar(of.sidecar) or NO_SIDECAR),
    "egress-gateways": lambda of: "; ".join(map(str, of.gateways)) or "none",
    "access-log": lambda of: mesh_config.access_log(of.look, of.settings, of.root),
    "mutual-tls": lambda of: failure_context.mutual_tls(of.look, of.root),
    "dns-capture": lambda of: mesh_config.dns_capture(of.settings),
    "native-sidecars": lambda of: failure_context.native_sidecars(of.istiod),
    "proxy-build": lambda of: failure_context.proxy_build(of.istiod),
    "trust-domain": lambda of: str(of.settings.get("trustDomain") or "cluster.local"),
    "pod-security": lambda of: failure_context.pod_security(of.look),
    "network-policy": lambda of: failure_context.network_policy(of.look),
    "gateway-api": lambda of: failure_context.gateway_api(of.look),
    "definitions": lambda of: failure_context.definitions(of.look),
    "ambient": lambda of: failure_context.ambient(of.look),
}
"""How each fact is found out, in the order of mesh_facts.FACTS."""

ESSENTIAL = ("control-plane", "revision", "injection", "istio", "outbound-mode")
"""Facts that manifests and verdicts rest on: a run without them would ask about another mesh."""


def detect_facts(look: ObjectReader, given: FactOverrides) -> MeshFacts:
    """Look at a mesh; raises ClusterError where a fact that everything rests on can neither be found out nor is given.

    Any other fact that can't be found out says why.
    """
    detection = Detection(look, given)
    facts = {name: _known(name, detection) for name in DETECTORS}
    for name in ESSENTIAL:
        if facts[name].why:
            raise ClusterError(f"{facts[name].why} (or say it with --istio-egress-fact {name}=VALUE)")
    return MeshFacts(
        facts=facts, istiod=detection.injector.service, gateway=detection.gateway(), sidecar=_mesh_sidecar(detection)
    )


def _mesh_sidecar(detection: Detection) -> MeshSidecar | None:
    given = detection.given.fact("mesh-sidecar")
    try:
        return MeshSidecar.parse(given) if given else mesh_config.described_sidecar(detection.sidecar)
    except ValueError as error:
        raise ClusterError(f"--istio-egress-fact mesh-sidecar={given}: {error}") from error
    except ClusterError:
        return None  # the fact "mesh-sidecar" has the reason


def _known(name: str, detection: Detection) -> Fact:
    given = detection.given
    if name in given.facts:
        return Fact(given.facts[name], given.places.get("fact", "given"))
    origin = given.places.get("revision", "given") if name == "revision" and given.revision else "found"
    try:
        return Fact(DETECTORS[name](detection), origin)
    except ClusterError as error:
        return Fact("", why=" ".join(str(error).split()))
