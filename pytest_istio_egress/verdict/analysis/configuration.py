"""The input of the analysis as plain data: the Istio resources of some namespaces, and one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_istio_egress.model.addresses import is_within
from pytest_istio_egress.verdict.analysis.documents import Document, covers, namespace_of, spec_of

ALLOW_ANY, REGISTRY_ONLY = "ALLOW_ANY", "REGISTRY_ONLY"
ANY_HOST_MODES = frozenset({ALLOW_ANY, "ALLOW_ANY_DYNAMIC_DNS"})
"""The modes of the outbound traffic policy that let requests to unknown hosts through."""


@dataclass(frozen=True)
class MeshSettings:
    """The mesh configuration (`meshConfig`) that decides which resources apply; `raw` is without defaults."""

    raw: Mapping[str, Any] = field(default_factory=dict)
    control_plane: str = "istio-system"
    service_suffix: str = ".svc.cluster.local"
    """What follows NAME.NAMESPACE in the host of a Service."""
    revision: str = ""
    """The revision of the control plane; resources with another label istio.io/rev do not apply."""

    @property
    def root(self) -> str:
        """The root namespace, whose resources apply to the whole mesh."""
        return str(self.raw.get("rootNamespace") or self.control_plane)

    @property
    def outbound_mode(self) -> str:
        """The mode of proxies without a Sidecar that sets one."""
        return str((self.raw.get("outboundTrafficPolicy") or {}).get("mode") or ALLOW_ANY)

    def default_export_to(self, kind: str) -> list[str]:
        """Return exportTo of resources that state none."""
        name = {"VirtualService": "VirtualService", "DestinationRule": "DestinationRule"}.get(kind, "Service")
        return list(self.raw.get(f"default{name}ExportTo") or ["*"])


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Resources as the API returns them, and what they refer to."""

    entries: Sequence[Document] = ()
    """ServiceEntries."""
    rules: Sequence[Document] = ()
    """VirtualServices."""
    destination_rules: Sequence[Document] = ()
    gateways: Sequence[Document] = ()
    sidecars: Sequence[Document] = ()
    envoy_filters: Sequence[Document] = ()
    policies: Sequence[Document] = ()
    """AuthorizationPolicies."""
    extensions: Sequence[Document] = ()
    """WasmPlugins, TrafficExtensions, Telemetries and ProxyConfigs."""
    routes: Sequence[Document] = ()
    """HTTPRoutes and TLSRoutes."""
    tls_policies: Sequence[Document] = ()
    """BackendTLSPolicies of the Gateway API."""
    api_gateways: Sequence[Document] = ()
    """Gateways of the Gateway API."""
    services: Sequence[Document] = ()
    """Kubernetes Services."""
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Labels by namespace."""
    gateway_ports: Mapping[tuple[str, str], frozenset[int] | None] = field(default_factory=dict)
    """By a Gateway's namespace and name, the ports of its pods' Services; None where it selects no pod."""
    secrets: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    """Names of Secrets by namespace, None where they may not be read."""
    mesh: MeshSettings = field(default_factory=MeshSettings)
    unread: frozenset[str] = frozenset()
    """Kinds that could not be read, or not in all namespaces: nothing is said about what does not exist of them."""

    def entries_of(self, host: str) -> list[Document]:
        """Return the ServiceEntries that list a host, or have an address that is written in place of one."""
        return [entry for entry in self.entries if _lists(entry, host) or _has_address(entry, host)]

    def rules_of(self, host: str) -> list[Document]:
        """Return the VirtualServices of a host."""
        return [rule for rule in self.rules if _lists(rule, host)]

    def full_host(self, document: Document, host: str) -> str:
        """Return a host as Istio reads it in a resource: a name without a dot is a Service of the same namespace."""
        named = "." in host or host == "*"
        return host if named else f"{host}.{namespace_of(document)}{self.mesh.service_suffix}"

    def destinations_of(self, rule: Document) -> list[Mapping[str, Any]]:
        """Return the destinations of a VirtualService, with their hosts in full."""
        found: list[Mapping[str, Any]] = []
        for route in routes_of(rule):
            for leg in route.get("route") or []:
                destination = leg.get("destination") or {}
                found.append({**destination, "host": self.full_host(rule, str(destination.get("host", "")))})
        return found

    def service_of(self, host: str) -> Document | None:
        """Return the Kubernetes Service of a cluster-local host."""
        if not host.endswith(self.mesh.service_suffix):
            return None
        name, _, namespace = host.removesuffix(self.mesh.service_suffix).partition(".")
        return next(
            (
                service
                for service in self.services
                if (service["metadata"]["name"], namespace_of(service)) == (name, namespace)
            ),
            None,
        )


def at_gateway(configuration: Configuration) -> Configuration:
    """Return the configuration as it applies to a gateway: Sidecars have no effect there."""
    return replace(configuration, sidecars=())


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The namespace and labels of a proxy's pod."""

    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ClientRequest(Workload):
    """The client's namespace and labels, and the host and port that it connects to."""

    host: str
    port: int
    by_proxy: bool = False
    """Whether these are the client's own proxy, which it asks for another host."""


def _lists(document: Document, host: str) -> bool:
    return any(covers(str(pattern).rpartition("/")[2], host) for pattern in spec_of(document).get("hosts") or [])


def _has_address(entry: Document, host: str) -> bool:
    """Whether a host is an IP address, and one of a ServiceEntry's own."""
    try:
        return is_within(host, map(str, spec_of(entry).get("addresses") or []))
    except ValueError:
        return False


def ports_of(entry: Document) -> list[int]:
    """Return the ports of a ServiceEntry or a Service."""
    return [int(port.get("number") or port.get("port") or 0) for port in spec_of(entry).get("ports") or []]


def routes_of(rule: Document) -> list[Mapping[str, Any]]:
    """Return the routes of a VirtualService, of all protocols."""
    spec = spec_of(rule)
    return [route for protocol in ("http", "tls", "tcp") for route in spec.get(protocol) or []]
