"""Detects restarts and changes outside the test that make its result invalid."""

from __future__ import annotations

import time

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.apply import RUN_LABEL
from pytest_istio_egress.cluster.mesh_config_map import MeshConfigMap
from pytest_istio_egress.cluster.network_policies import foreign_policies
from pytest_istio_egress.cluster.pods import Pod, changed_pods, ready_pods
from pytest_istio_egress.pipeline.context import WorkerContext

ISTIOD = "app=istiod"


class InterferenceDetector:
    """Compares the pods and the mesh configuration with those of the previous call.

    Nothing is read as long as every parameter passes.
    """

    def __init__(self, context: WorkerContext, mesh_config_map: MeshConfigMap) -> None:
        self.context = context
        self.mesh_config_map = mesh_config_map
        self.unsettled_until = 0.0
        """When Istio's leader works again (time.monotonic()) after a pod of the control plane went.

        Addresses that it allocates, gateways that it creates and statuses may be late until then.
        """
        self._istiods: list[Pod] | None = None
        self._version = ""

    def begin(self) -> None:
        """Read the state of the control plane before the first test."""
        if self._istiods is None:
            self._istiods = self._ready_istiods()
            self._version = self.mesh_config_map.version()

    def accept_mesh_change(self) -> None:
        """Take the current mesh configuration as the expected one: this run changed it."""
        self._version = self.mesh_config_map.version()

    def detect(self) -> str | None:
        """Return what happened since the last call, and take the current state as the expected one; None: nothing.

        ClusterError where a NetworkPolicy that the cluster created separates the run's pods: that is not the mesh's
        fault, and does not pass.
        """
        event = self._control_plane_changed() or self._pods_changed() or self._mesh_config_changed()
        if event is None:
            self._check_network()
        return event

    def _ready_istiods(self) -> list[Pod]:
        return ready_pods(self.context.api, self.mesh_config_map.control_plane, ISTIOD)

    def _control_plane_changed(self) -> str | None:
        changes = changed_pods(self.context.api, self._istiods or ())
        if not changes:
            return None
        self._istiods = self._ready_istiods()
        self.unsettled_until = time.monotonic() + self.context.timeouts.leader
        return changes[0]

    def _pods_changed(self) -> str | None:
        environment, logs = self.context.environment, self.context.access_logs
        changes = changed_pods(self.context.api, [*environment.pod_lookup.pods_in_use(), *logs.pods_in_use()])
        # A request may have gone to a replica whose log is not followed.
        changes += [f"the egress gateway's pod {pod} was added" for pod in logs.new_gateways()]
        if not changes:
            return None
        logs.forget()
        environment.forget()
        return changes[0]

    def _mesh_config_changed(self) -> str | None:
        if self._version == self.mesh_config_map.version():
            return None
        self._version = str(self.mesh_config_map.wait_unlocked().metadata.resource_version)
        return "the mesh configuration was changed"

    def _check_network(self) -> None:
        environment = self.context.environment
        policies = foreign_policies(self.context.api, environment.namespaces)
        if policies and not environment.reaches_outside():
            raise ClusterError(
                f"{policies[0]}, which this run did not create, blocks the run's pods with and without a sidecar: "
                f"exclude namespaces labelled {RUN_LABEL} from that policy"
            )
