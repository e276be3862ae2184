"""What the mesh is: the facts that were found out, never assumed, and what is asked of it beside them."""

from __future__ import annotations

import json
import re
from functools import cached_property

from kubernetes import client

from pytest_istio_egress.cluster.admin import admin
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.facts.objects import ApiObjectReader, name
from pytest_istio_egress.cluster.facts.revisions import injectors, istiod
from pytest_istio_egress.cluster.facts.table import FactOverrides, detect_facts
from pytest_istio_egress.cluster.mesh_config_map import MeshConfigMap
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.model.mesh_facts import DEFAULT_REVISION, Gateway, MeshFacts


def meshes(api: Api) -> list[MeshConfigMap]:
    """Return the configuration of every control plane that injects."""
    found = injectors(ApiObjectReader(api))
    return [
        MeshConfigMap(api, namespace, "istio" if revision == DEFAULT_REVISION else f"istio-{revision}")
        for namespace, revision in dict.fromkeys((one.namespace, one.revision) for one in found)
    ]


class Mesh:
    """The mesh of one cluster. Facts are asked for when first needed and then kept: one run, one mesh."""

    def __init__(self, api: Api, facts: MeshFacts | None = None, given: FactOverrides | None = None) -> None:
        self.api = api
        self.given = given or FactOverrides()
        self._facts = facts

    @cached_property
    def kubernetes(self) -> str:
        """Kubernetes' version, as the API server says it."""
        return str(client.VersionApi(self.api.client).get_code(_request_timeout=(5, 10)).git_version)

    @cached_property
    def facts(self) -> MeshFacts:
        """What holds for the run: given by who began it, else found out now."""
        return self._facts or detect_facts(ApiObjectReader(self.api), self.given)

    @property
    def istio(self) -> str:
        """Istio's version."""
        return self.facts.istio

    @property
    def outbound_mode(self) -> str:
        """REGISTRY_ONLY or ALLOW_ANY (Istio's default), for namespaces without a Sidecar of their own."""
        return self.facts.outbound_mode

    @property
    def gateway(self) -> Gateway | None:
        """The egress gateway to ask, None where the mesh has none that is ready."""
        return self.facts.gateway

    def check(self) -> None:
        """Raise ClusterError, with what to look at, unless the control plane is there and ready."""
        facts = self.facts
        deployment = istiod(ApiObjectReader(self.api), facts.control_plane, facts.value("revision", DEFAULT_REVISION))
        if not (deployment.get("status") or {}).get("readyReplicas", 0):
            raise ClusterError(
                f"{name(deployment)} in {facts.control_plane} has no ready replica ({deployment['spec']['replicas']} "
                "wanted): configuration would not reach any proxy. See "
                f"`kubectl get pods -n {facts.control_plane}`"
            )

    def envoy(self, pod: Pod) -> str:
        """Return the version of the Envoy beside a pod's containers, and its build where it is not a release."""
        answer = admin(self.api, pod, "/server_info")
        try:
            version = str(json.loads(answer)["version"])
        except (json.JSONDecodeError, KeyError) as error:
            raise ClusterError(f"the proxy of {pod} does not say its version: {answer[:200]!r}") from error
        # commit/version/status/build/TLS library, e.g. 0123abc/1.36.4/Clean/RELEASE/BoringSSL
        match = re.match(r"[^/]*/([^/]+)/", version)
        return match[1] if match else version
