"""The table of detectors, one for each fact, and the detection of all facts of a mesh."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pytest_istio_egress.cluster import discovery
from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.facts import (
    gateways,
    installed_apis,
    istiod_settings,
    mesh_config,
    network,
    proxies,
    revisions,
    security,
)
from pytest_istio_egress.cluster.facts.objects import Object, ObjectReader
from pytest_istio_egress.model.istio_versions import release
from pytest_istio_egress.model.mesh_facts import (
    CLUSTER_DOMAIN,
    DEFAULT_REVISION,
    FOUND,
    MESH_GATEWAY,
    NO_GATEWAY,
    NO_SIDECAR,
    NO_ZTUNNEL,
    OWN_GATEWAY,
    RUNS_OWN_GATEWAY,
    TRUST_DOMAIN,
    Fact,
    Gateway,
    MeshFacts,
    MeshSidecar,
    Ztunnel,
    config_map_of,
)
from pytest_istio_egress.model.mesh_log import MeshLog
from pytest_istio_egress.model.text import one_line


@dataclass(frozen=True)
class FactOverrides:
    """The user's settings that override detection."""

    revision: str | None = None
    gateway: str | None = None
    """`mesh`, `own`, `none` or NAMESPACE/SERVICE; None: the mesh's where tests can use it, else `own`."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Values by the names of facts."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Where the settings `revision`, `gateway` and `fact` come from (settings.options.PLACES)."""

    def fact(self, name: str) -> str:
        """Return the override of a fact, empty where there is none."""
        return self.facts.get(name, "")


class Detection:
    """The objects that several detectors need, each read once."""

    def __init__(self, reader: ObjectReader, overrides: FactOverrides) -> None:
        self.reader = reader
        self.overrides = overrides

    @cached_property
    def injectors(self) -> list[revisions.Injector]:
        """Every injection label."""
        return revisions.injectors(self.reader)

    @cached_property
    def injector(self) -> revisions.Injector:
        """The injection label of the run's namespaces."""
        injection, control_plane = self.overrides.fact("injection"), self.overrides.fact("control-plane")
        if injection and control_plane:
            key, _, value = injection.partition("=")
            revision = self.overrides.revision or self.overrides.fact("revision") or DEFAULT_REVISION
            service = "istiod" if revision == DEFAULT_REVISION else f"istiod-{revision}"
            return revisions.Injector((key, value), revision, service, control_plane)
        return revisions.select(self.injectors, self.overrides.revision)

    @cached_property
    def control_plane(self) -> str:
        """The namespace of the control plane."""
        return self.overrides.fact("control-plane") or self.injector.namespace

    @cached_property
    def istiod(self) -> Object | None:
        """The Deployment of the control plane; None where it is elsewhere."""
        return revisions.istiod(self.reader, self.control_plane, self.injector.revision)

    @cached_property
    def proxy(self) -> proxies.ProxyInfo | None:
        """What a running proxy of the revision says of itself; None where none is at hand."""
        try:
            namespaces = [self.control_plane, *(gateway.namespace for gateway in self.gateways)]
            return proxies.running_proxy(self.reader, namespaces, self.injector.revision)
        except ClusterError:
            return None  # without the permission to look at pods

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of istiod; raises ClusterError where its Deployment is elsewhere."""
        if self.istiod is None:
            raise ClusterError(
                f"no Deployment of istiod of revision {self.injector.revision} in {self.control_plane}; tests assume "
                "Istio's defaults"
            )
        return revisions.environment(self.istiod)

    def version(self) -> str:
        """Return the version of Istio; raises ClusterError where nothing in the cluster tells it."""
        told = revisions.version(self.istiod)
        if not told and self.proxy and release(self.proxy.istio):
            told = self.proxy.istio
        if not told:
            raise ClusterError("neither istiod's image and labels nor a proxy tell the version of Istio")
        return told

    @cached_property
    def config_map(self) -> str:
        """The name of the ConfigMap with the control plane's own mesh configuration."""
        return config_map_of(self.injector.revision)

    @property
    def shared_config_map(self) -> str:
        """The name of the ConfigMap with the shared mesh configuration, empty where the control plane names none."""
        return revisions.environment(self.istiod).get(mesh_config.SHARED, "")

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The mesh configuration: that of the control plane over the shared one, if it names one."""
        names = list(filter(None, (self.shared_config_map, self.config_map)))
        return mesh_config.mesh_config(self.reader, self.control_plane, names)

    @property
    def has_config_map(self) -> bool:
        """Whether the control plane's own mesh configuration is in the cluster; one that may not be read is."""
        try:
            return self.reader.one("v1", "ConfigMap", self.config_map, self.control_plane) is not None
        except ClusterError:
            return True

    @cached_property
    def root(self) -> str:
        """The root namespace, whose resources apply to the whole mesh; by default that of the control plane."""
        try:
            return mesh_config.root_namespace(self.settings, self.control_plane)
        except ClusterError:
            return self.control_plane

    def cluster_domain(self) -> str:
        """Return the domain of Services in Istio's names: by istiod's command line, or by a proxy, or the usual one."""
        told = revisions.argument(self.istiod, "--domain") or (self.proxy.domain if self.proxy else "")
        return told or CLUSTER_DOMAIN

    def trust_domain(self) -> str:
        """Return the trust domain: by the mesh configuration; where that is elsewhere, by what a proxy was given."""
        try:
            return str(self.settings.get("trustDomain") or TRUST_DOMAIN)
        except ClusterError:
            if self.proxy and self.proxy.trust_domain:
                return self.proxy.trust_domain
            raise

    def proxy_build(self) -> str:
        """Return the build of Envoy: by a running proxy, or by what istiod is configured for."""
        if self.proxy and self.proxy.extensions:
            return proxies.build_of(self.proxy.extensions)
        return proxies.configured_build(self.environment)

    @cached_property
    def sidecar(self) -> Object | None:
        """The mesh-wide Sidecar."""
        return mesh_config.mesh_sidecar(self.reader, self.root)

    @cached_property
    def access_log(self) -> MeshLog:
        """The access log that proxies write by default."""
        return mesh_config.access_log(self.reader, self.settings, self.root)

    @cached_property
    def ztunnel(self) -> Ztunnel | None:
        """The node proxy of ambient mode."""
        return proxies.ztunnel(self.reader)

    @cached_property
    def gateways(self) -> list[Gateway]:
        """The mesh's egress gateways."""
        return gateways.egress_gateways(self.reader, self._exports, self._selectors)

    @property
    def _selectors(self) -> discovery.Selectors:
        given = self.overrides.fact("discovery-selectors")
        try:
            return discovery.parsed(given or discovery.described(self.settings))
        except ClusterError:
            return ()  # as they are not known

    @property
    def _exports(self) -> list[str]:
        try:
            return self.settings.get("defaultServiceExportTo") or ["*"]
        except ClusterError:
            return ["*"]  # Istio's default

    def _found_gateways(self) -> list[Gateway]:
        try:
            return self.gateways
        except ClusterError:
            return []  # the fact "egress-gateways" has the reason

    def _testable_gateway(self) -> Gateway:
        """Return the first gateway that tests can use; without one the run deploys its own."""
        found = self._found_gateways()
        reasons = [gateways.untestable(gateway) for gateway in found]
        if None in reasons:
            return found[reasons.index(None)]
        why = reasons[0] if reasons else "the mesh has none"
        return replace(RUNS_OWN_GATEWAY, made_by=f"{RUNS_OWN_GATEWAY.made_by}, as {why}")

    def gateway(self) -> Gateway | None:
        """Return the egress gateway under test."""
        match self.overrides.gateway:
            case None:
                return self._testable_gateway()
            case choice if choice == MESH_GATEWAY:
                return next(iter(self._found_gateways()), None)
            case choice if choice == OWN_GATEWAY:
                return RUNS_OWN_GATEWAY
            case choice if choice == NO_GATEWAY:
                return None
            case name:
                return gateways.named_gateway(self.reader, name, self._exports)


DETECTORS: dict[str, Callable[[Detection], str]] = {
    "istio": Detection.version,
    "proxies": lambda of: str(of.proxy or "none at hand"),
    "revision": lambda of: of.injector.revision,
    "revisions": lambda of: revisions.describe(of.reader, of.injectors),
    "control-plane": lambda of: of.control_plane,
    "injection": lambda of: str(of.injector),
    "outbound-mode": lambda of: mesh_config.outbound_mode(of.settings, of.sidecar),
    "mesh-sidecar": lambda of: str(mesh_config.sidecar_of(of.sidecar) or NO_SIDECAR),
    "discovery-selectors": lambda of: discovery.described(of.settings),
    "egress-gateways": lambda of: "; ".join(map(str, of.gateways)) or "none",
    "access-log": lambda of: str(of.access_log),
    "telemetry-services": lambda of: mesh_config.telemetry_services(of.reader, of.settings, of.root),
    "mutual-tls": lambda of: security.mutual_tls(of.reader, of.root),
    "dns-capture": lambda of: mesh_config.dns_capture(of.settings),
    "native-sidecars": lambda of: proxies.native_sidecars(of.environment, revisions.version(of.istiod)),
    "proxy-build": Detection.proxy_build,
    "cluster-domain": Detection.cluster_domain,
    "trust-domain": Detection.trust_domain,
    "pod-security": lambda of: security.pod_security(of.reader),
    "network-policy": lambda of: security.network_policy(of.reader),
    "gateway-api": lambda of: installed_apis.gateway_api(of.reader),
    "definitions": lambda of: installed_apis.definitions(of.reader),
    "ambient": lambda of: str(of.ztunnel or NO_ZTUNNEL),
    "ip-families": lambda of: network.ip_families(of.reader, of.control_plane),
    "istio-dual-stack": lambda of: proxies.dual_stack(of.environment),
    "istiod-settings": lambda of: istiod_settings.istiod_settings(of.environment),
    "mesh-settings": lambda of: mesh_config.mesh_settings(of.settings),
}
"""The detector of each fact, in the order of mesh_facts.FACTS."""

ESSENTIAL = ("control-plane", "revision", "injection", "istio")
"""Facts that manifests and verdicts depend on: without them there is no run."""


def detect_facts(reader: ObjectReader, overrides: FactOverrides) -> MeshFacts:
    """Detect the facts of a mesh; raises ClusterError where an ESSENTIAL one cannot be detected.

    Any other fact that cannot be detected has the reason.
    """
    detection = Detection(reader, overrides)
    facts = {name: _fact(name, detection) for name in DETECTORS}
    for name in ESSENTIAL:
        if facts[name].why:
            raise ClusterError(f"{facts[name].why} (or pass --istio-egress-fact {name}=VALUE)")
    if release(facts["istio"].value) is None:
        raise ClusterError(f"{facts['istio'].value!r} is not a release of Istio: pass --istio-egress-fact istio=1.30.3")
    detected = MeshFacts(
        facts=facts,
        istiod=detection.injector.service or "istiod",
        config_map=detection.config_map if detection.has_config_map else "",
        shared_config_map=detection.shared_config_map,
        gateway=detection.gateway(),
        sidecar=_mesh_sidecar(detection),
        ztunnel=_ztunnel(detection),
        log=_access_log(detection),
    )
    selectors = discovery.parsed(detected.value("discovery-selectors"))
    for label in (detected.injection, discovery.NOT_INJECTED):  # raises for a mesh that cannot see the run's namespaces
        discovery.added_labels(selectors, "egress", dict([label]))
    return detected


def _mesh_sidecar(detection: Detection) -> MeshSidecar | None:
    override = detection.overrides.fact("mesh-sidecar")
    try:
        return MeshSidecar.parse(override) if override else mesh_config.sidecar_of(detection.sidecar)
    except ClusterError:
        return None  # the fact "mesh-sidecar" has the reason


def _ztunnel(detection: Detection) -> Ztunnel | None:
    override = detection.overrides.fact("ambient")
    try:
        return Ztunnel.parse(override) if override else detection.ztunnel
    except ClusterError:
        return None  # the fact "ambient" has the reason


def _access_log(detection: Detection) -> MeshLog | None:
    override = detection.overrides.fact("access-log")
    try:
        return MeshLog.parse(override) if override else detection.access_log
    except ClusterError:
        return None  # the fact "access-log" has the reason


def _fact(name: str, detection: Detection) -> Fact:
    overrides = detection.overrides
    if name in overrides.facts:
        return Fact(overrides.facts[name], overrides.places.get("fact", "given"))
    is_chosen = name == "revision" and overrides.revision
    origin = overrides.places.get("revision", "given") if is_chosen else FOUND
    try:
        return Fact(DETECTORS[name](detection), origin)
    except ClusterError as error:
        return Fact("", why=one_line(error))
