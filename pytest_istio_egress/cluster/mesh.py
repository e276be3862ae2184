"""The mesh: its facts, which are detected, and the state of its control plane and proxies."""

from __future__ import annotations

import json
from functools import cached_property

from pytest_istio_egress.cluster.admin import admin
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.facts.objects import ApiObjectReader, name
from pytest_istio_egress.cluster.facts.proxies import ProxyInfo
from pytest_istio_egress.cluster.facts.revisions import injectors, istiod
from pytest_istio_egress.cluster.facts.table import FactOverrides, detect_facts
from pytest_istio_egress.cluster.gateway_log import problem_of
from pytest_istio_egress.cluster.mesh_config_map import MeshConfigMap
from pytest_istio_egress.cluster.pods import Pod, ready_pods
from pytest_istio_egress.model.mesh_facts import DEFAULT_REVISION, MeshFacts, config_map_of


def meshes(api: Api) -> list[MeshConfigMap]:
    """Return the ConfigMap of every control plane with a sidecar injector."""
    reader = ApiObjectReader(api)
    planes = dict.fromkeys((each.namespace, each.revision) for each in injectors(reader))
    return [MeshConfigMap(api, namespace, config_map_of(revision)) for namespace, revision in planes]


class Mesh:
    """The mesh of one cluster."""

    def __init__(
        self,
        api: Api,
        facts: MeshFacts | None = None,
        overrides: FactOverrides | None = None,
        grants_in: str | None = None,
    ) -> None:
        self.api = api
        self.grants_in = grants_in
        """The namespace in which the run grants permissions to proxies, None where it does not exist yet."""
        self.overrides = overrides or FactOverrides()
        self._facts = facts

    @cached_property
    def facts(self) -> MeshFacts:
        """The facts of the run: those that the controller detected, else detected now and then cached."""
        return self._facts or detect_facts(ApiObjectReader(self.api), self.overrides)

    @cached_property
    def gateway_log_problem(self) -> str | None:
        """Why the log of the mesh's egress gateway is no evidence, empty where it is; None: its configuration is empty.

        The run's own gateway has a log of the run's own.
        """
        gateway = self.facts.gateway
        if gateway is None or self.facts.own_gateway:
            return ""
        return problem_of(self.api, ready_pods(self.api, gateway.namespace, gateway.selector))

    def check(self) -> None:
        """Raise ClusterError where the control plane's Deployment is not ready.

        One that is elsewhere, as in a managed mesh, has none: the first proxy that gets its configuration shows it.
        """
        facts = self.facts
        deployment = istiod(ApiObjectReader(self.api), facts.control_plane, facts.value("revision", DEFAULT_REVISION))
        if deployment is None:
            return
        if not (deployment.get("status") or {}).get("readyReplicas", 0):
            raise ClusterError(
                f"{name(deployment)} in {facts.control_plane} has no ready replica ({deployment['spec']['replicas']} "
                f"desired), so configuration cannot reach the proxies; try `kubectl get pods -n {facts.control_plane}`"
            )

    def envoy(self, pod: Pod) -> str:
        """Return the version of the Envoy in a pod, and its build where it is not a release."""
        response = admin(self.api, pod, "/server_info")
        try:
            answer = json.loads(response)
        except json.JSONDecodeError as error:
            raise ClusterError(f"the proxy of {pod} does not report its version: {response[:200]!r}") from error
        return ProxyInfo.of(answer).envoy
