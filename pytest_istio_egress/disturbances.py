"""What else than the mesh may make a request fail: pods that went, another run, policies that keep pods apart."""

from __future__ import annotations

import time

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import RUN_LABEL
from pytest_istio_egress.cluster.mesh_settings import MeshSettings
from pytest_istio_egress.cluster.network_policies import foreign_policies
from pytest_istio_egress.cluster.pods import Pod, changed, ready_pods
from pytest_istio_egress.cluster.witnesses import Witnesses
from pytest_istio_egress.cluster.world import World

ISTIOD = "app=istiod"


class Disturbances:
    """Looks at the stage where something does not hold, and tells what happened there since the last look.

    Nothing is asked for as long as all holds. `unsettled_until` is when Istio's leader is back at work, after a control
    plane's pod went: addresses that it makes up, gateways that it brings and statuses may be late until then.
    """

    def __init__(self, api: Api, world: World, witnesses: Witnesses) -> None:
        self.api = api
        self.world = world
        self.witnesses = witnesses
        mesh = world.names.mesh
        self.settings = MeshSettings(api, mesh.control_plane, mesh.config_map)
        self.unsettled_until = 0.0
        self._control_plane = mesh.control_plane
        self._istiods: list[Pod] | None = None
        self._version = ""

    def begin(self) -> None:
        """Get to know the control plane, before the first case."""
        if self._istiods is None:
            self._istiods = ready_pods(self.api, self._control_plane, ISTIOD)
            self._version = self.settings.version()

    def mesh_changed(self) -> None:
        """Take note of a change of the mesh's configuration that is this run's own."""
        self._version = self.settings.version()

    def look(self) -> str | None:
        """Say what happened since the last look, and get to know what is there now; None: nothing.

        ClusterError where a policy of the cluster's own keeps pods apart: that is not the mesh's doing, and stays so.
        """
        found = self._control_plane_went() or self._pods_went() or self._mesh_was_changed()
        if found is None:
            self._check_network()
        return found

    def _control_plane_went(self) -> str | None:
        went = changed(self.api, self._istiods or ())
        if not went:
            return None
        self._istiods = ready_pods(self.api, self._control_plane, ISTIOD)
        self.unsettled_until = time.monotonic() + self.api.timeouts.leader
        return went[0]

    def _pods_went(self) -> str | None:
        went = changed(self.api, [*self.world.found.taking_part(), *self.witnesses.taking_part()])
        if not went:
            return None
        self.witnesses.forget()
        self.world.forget()
        return went[0]

    def _mesh_was_changed(self) -> str | None:
        if self._version == self.settings.version():
            return None
        self._version = str(self.settings.unchanged().metadata.resource_version)
        return "the mesh's own configuration was changed"

    def _check_network(self) -> None:
        policies = foreign_policies(self.api, self.world.namespaces)
        if policies and not self.world.reaches_outside():
            raise ClusterError(
                f"{policies[0]}, which the cluster put there, keeps the run's pods apart, with or without a sidecar: "
                f"let namespaces labelled {RUN_LABEL} out of that policy"
            )
