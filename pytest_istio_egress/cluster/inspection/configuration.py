"""Reads the Istio resources that may explain a failure, and the Services, pods and Secrets that they reference.

What may not be read is left out and named in `unread`, so that no sentence says of it that it does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.facts.mesh_config import mesh_config
from pytest_istio_egress.cluster.facts.objects import ApiObjectReader
from pytest_istio_egress.cluster.markers import MARKER
from pytest_istio_egress.cluster.pages import all_items
from pytest_istio_egress.verdict.analysis.configuration import Configuration, MeshSettings
from pytest_istio_egress.verdict.analysis.documents import namespace_of, spec_of

NETWORKING = "networking.istio.io/v1"
GATEWAY_API = "gateway.networking.k8s.io/v1"
_KINDS: Mapping[str, tuple[str, ...]] = {
    "ServiceEntry": (NETWORKING,),
    "VirtualService": (NETWORKING,),
    "DestinationRule": (NETWORKING,),
    "Gateway": (NETWORKING,),
    "Sidecar": (NETWORKING,),
    "EnvoyFilter": ("networking.istio.io/v1alpha3",),
    "ProxyConfig": ("networking.istio.io/v1beta1",),
    "AuthorizationPolicy": ("security.istio.io/v1",),
    "WasmPlugin": ("extensions.istio.io/v1alpha1",),
    "TrafficExtension": ("extensions.istio.io/v1alpha1",),
    "Telemetry": ("telemetry.istio.io/v1",),
    "HTTPRoute": (GATEWAY_API,),
    "TLSRoute": (GATEWAY_API, "gateway.networking.k8s.io/v1alpha3", "gateway.networking.k8s.io/v1alpha2"),
    "BackendTLSPolicy": (GATEWAY_API,),
    "Service": ("v1",),
}
"""Kinds and the versions of their API, the newest first."""
_EXTENSIONS = ("WasmPlugin", "TrafficExtension", "Telemetry", "ProxyConfig")
API_GATEWAY = "Gateway of the Gateway API"
MESH_CONFIGURATION = "mesh configuration"
Resources = list[dict[str, Any]]


class ConfigurationReader:
    """Reads the configuration of one mesh, whatever part of it may be read."""

    def __init__(self, api: Api, *, control_plane: str, config_maps: Sequence[str], domain: str, revision: str) -> None:
        self.api = api
        self._control_plane = control_plane
        self._config_maps = config_maps
        self._suffix = f".svc.{domain}"
        self._revision = revision

    def read(self, secrets_of: Sequence[str]) -> Configuration:
        """Return the resources of all namespaces; `secrets_of` are the namespaces of the proxies on the path."""
        unread: set[str] = set()
        resources = {kind: self._resources(versions, kind, unread, kind) for kind, versions in _KINDS.items()}
        gateways = resources["Gateway"]
        return Configuration(
            entries=resources["ServiceEntry"],
            rules=resources["VirtualService"],
            destination_rules=resources["DestinationRule"],
            gateways=gateways,
            sidecars=resources["Sidecar"],
            envoy_filters=resources["EnvoyFilter"],
            policies=resources["AuthorizationPolicy"],
            extensions=[each for kind in _EXTENSIONS for each in resources[kind]],
            routes=[*resources["HTTPRoute"], *resources["TLSRoute"]],
            tls_policies=resources["BackendTLSPolicy"],
            api_gateways=self._resources((GATEWAY_API,), "Gateway", unread, API_GATEWAY),
            services=resources["Service"],
            namespaces=self._namespaces(unread),
            gateway_ports={
                (namespace_of(each), each["metadata"]["name"]): _gateway_ports(self.api, each, resources["Service"])
                for each in gateways
            },
            secrets={namespace: _secrets(self.api, namespace) for namespace in secrets_of},
            mesh=self._mesh(unread),
            unread=frozenset(unread),
        )

    def _resources(self, versions: Sequence[str], kind: str, unread: set[str], name: str) -> Resources:
        """Return all resources of a kind; none where the cluster does not serve it, or where they may not be listed."""
        served = next((version for version in versions if self.api.serves(version, kind)), None)
        if served is None:
            return []
        try:
            items = all_items(self.api.resource(served, kind))
        except ApiException:
            unread.add(name)
            return []
        # A list's items come without their kind. The markers of runs have no effect on requests.
        return [{**item, "kind": kind} for item in items if not item["metadata"]["name"].startswith(MARKER)]

    def _namespaces(self, unread: set[str]) -> dict[str, dict[str, str]]:
        try:
            items = all_items(self.api.resource("v1", "Namespace"))
        except ApiException:
            unread.add("Namespace")
            return {}
        return {item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in items}

    def _mesh(self, unread: set[str]) -> MeshSettings:
        """Return the mesh configuration, empty where it may not be read, or is outside of the cluster."""
        raw: dict[str, Any] = {}
        try:
            raw = mesh_config(ApiObjectReader(self.api), self._control_plane, self._config_maps)
        except ClusterError:
            unread.add(MESH_CONFIGURATION)
        return MeshSettings(
            raw=raw, control_plane=self._control_plane, service_suffix=self._suffix, revision=self._revision
        )


def _gateway_ports(api: Api, gateway: Mapping[str, Any], services: Resources) -> frozenset[int] | None:
    """Return the ports of the Services of a Gateway's pods; None where it selects no pods."""
    selector = spec_of(gateway).get("selector") or {}
    label_selector = ",".join(f"{name}={value}" for name, value in selector.items())
    pods = api.core.list_pod_for_all_namespaces(label_selector=label_selector).items
    if not pods:
        return None
    ports: set[int] = set()
    for pod in pods:
        labels = (pod.metadata.labels or {}).items()
        for service in services:
            selected = (spec_of(service).get("selector") or {}).items()
            if namespace_of(service) == pod.metadata.namespace and selected and selected <= labels:
                ports |= {int(port["port"]) for port in spec_of(service).get("ports") or []}
    return frozenset(ports)


def _secrets(api: Api, namespace: str) -> frozenset[str] | None:
    """Return only the names of a namespace's secrets; None without the permission to list them."""
    try:
        return frozenset(secret.metadata.name for secret in api.core.list_namespaced_secret(namespace).items)
    except ApiException:
        return None
