"""What the mesh is: Istio's version and mode, its gateway, its Envoy; found out, never assumed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.enforcement import Enforcement
from pytest_istio_egress.cluster.pods import Pod, run

GATEWAY_SELECTOR = "istio=egressgateway"


@dataclass(frozen=True)
class MeshFacts:
    """What is found out once, before the first case, and then holds for the run, whatever happens to the mesh.

    A mesh that changes while it is asked shall fail its cases; it shall not be skipped as a mesh of another kind.
    """

    istio: str
    outbound_mode: str


@dataclass(frozen=True)
class Gateway:
    """An egress gateway: where its pods are, and the Service in front of them."""

    namespace: str
    service: str


class Mesh:
    """The mesh of one cluster. Facts are asked for when first needed and then kept: one run, one mesh."""

    def __init__(self, api: Api, facts: MeshFacts | None = None, control_plane: str = "istio-system") -> None:
        self.api = api
        self.control_plane = control_plane
        self.enforcement: Enforcement | None = None
        """How it is found out what the cluster's network enforces; None until the run has namespaces for it."""
        self._facts = facts

    @cached_property
    def kubernetes(self) -> str:
        """Kubernetes' version, as the API server says it."""
        return str(client.VersionApi(self.api.client).get_code(_request_timeout=(5, 10)).git_version)

    @cached_property
    def facts(self) -> MeshFacts:
        """What holds for the run: given by who began it, else found out now."""
        if self._facts:
            return self._facts
        mode = (self.settings.get("outboundTrafficPolicy") or {}).get("mode", "ALLOW_ANY")
        return MeshFacts(istio=self._istio_version(), outbound_mode=str(mode))

    @property
    def istio(self) -> str:
        """Istio's version: the tag of istiod's image."""
        return self.facts.istio

    def _istio_version(self) -> str:
        image = self._istiod().spec.template.spec.containers[0].image
        return str(image).rsplit(":", 1)[-1] if ":" in image.rsplit("/", 1)[-1] else str(image)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The mesh configuration, as the control plane's ConfigMap holds it; defaults are not in it."""
        try:
            found = self.api.core.read_namespaced_config_map("istio", self.control_plane)
        except ApiException as error:
            raise ClusterError(
                f"Istio's mesh configuration (ConfigMap istio in {self.control_plane}) can't be read: {reason(error)}"
            ) from error
        settings: dict[str, Any] = yaml.safe_load(found.data.get("mesh", "")) or {}
        return settings

    @property
    def outbound_mode(self) -> str:
        """REGISTRY_ONLY or ALLOW_ANY (Istio's default), for namespaces without a Sidecar of their own."""
        return self.facts.outbound_mode

    @cached_property
    def gateway(self) -> Gateway | None:
        """The egress gateway that the mesh has, None if it has none that is ready."""
        pods = self.api.core.list_pod_for_all_namespaces(label_selector=GATEWAY_SELECTOR).items
        services = self.api.core.list_service_for_all_namespaces(label_selector=GATEWAY_SELECTOR).items
        for service in services:
            namespace = service.metadata.namespace
            if any(pod.metadata.namespace == namespace for pod in pods):
                return Gateway(namespace, service.metadata.name)
        return None

    def check(self) -> None:
        """Raise ClusterError, with what to look at, unless the control plane is there and ready."""
        istiod = self._istiod()
        if not (istiod.status.ready_replicas or 0):
            raise ClusterError(
                f"istiod in {self.control_plane} has no ready replica ({istiod.spec.replicas} wanted): configuration "
                f"would not reach any proxy. See `kubectl get pods -n {self.control_plane}`"
            )

    def envoy(self, pod: Pod) -> str:
        """Return the version of the Envoy beside a pod's containers, and its build where it is not a release."""
        answer = run(self.api, pod, ["curl", "-s", "http://127.0.0.1:15000/server_info"]).stdout
        try:
            version = str(json.loads(answer)["version"])
        except (json.JSONDecodeError, KeyError) as error:
            raise ClusterError(f"the proxy of {pod} does not say its version: {answer[:200]!r}") from error
        # commit/version/status/build/TLS library, e.g. 0123abc/1.36.4/Clean/RELEASE/BoringSSL
        match = re.match(r"[^/]*/([^/]+)/", version)
        return match[1] if match else version

    def _istiod(self) -> client.V1Deployment:
        try:
            found = client.AppsV1Api(self.api.client).list_namespaced_deployment(
                self.control_plane, label_selector="app=istiod"
            )
        except ApiException as error:
            raise ClusterError(f"istiod can't be looked up in {self.control_plane}: {reason(error)}") from error
        if not found.items:
            raise ClusterError(f"no istiod in the namespace {self.control_plane}: this cluster has no Istio there")
        return found.items[0]
