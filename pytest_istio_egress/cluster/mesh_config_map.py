"""Changes the mesh's own configuration for the length of a case, and puts it back as it was, to the letter.

before:  ConfigMap istio, data.mesh                                          its text
during:  the text with the changes; annotation istio-egress.dev/mesh-before  its text, for whoever finds it so
then:    its text again, while the proxies take it over
after:   no annotation

Runs beside this one wait for the annotation to go before they change anything, and before they believe that the mesh
does not hold (judge.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason

BEFORE = "istio-egress.dev/mesh-before"


class MeshConfigMap:
    """The ConfigMap that istiod watches; one change at a time."""

    def __init__(self, api: Api, control_plane: str = "istio-system", config_map: str = "istio") -> None:
        self.api = api
        self.control_plane = control_plane
        self.config_map = config_map

    def change(self, changes: Mapping[str, Any]) -> str:
        """Set fields of the mesh configuration (None: take them out); returns its text as it was.

        Another run that has it changed is waited for; ClusterError where that takes longer than `timeouts.other_run`.
        """
        found = self.wait_unlocked()
        before = str((found.data or {}).get("mesh", ""))
        merged = {**(yaml.safe_load(before) or {}), **changes}
        changed = {name: value for name, value in merged.items() if value is not None}
        # With its version: should somebody have changed it since it was read, the API refuses this.
        sent = {
            "metadata": {"annotations": {BEFORE: before}, "resourceVersion": found.metadata.resource_version},
            "data": {"mesh": yaml.safe_dump(changed)},
        }
        try:
            self._patch(sent)
        except ClusterError:
            if (self._read().data or {}).get("mesh") != sent["data"]["mesh"]:
                raise
            # It arrived, its answer did not: sent again, it met its own change.
        return before

    def wait_unlocked(self) -> client.V1ConfigMap:
        """Return the mesh configuration as soon as no run has it changed; ClusterError if that takes too long."""
        within = self.api.timeouts.other_run
        deadline = time.monotonic() + within
        while BEFORE in ((found := self._read()).metadata.annotations or {}):
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"the mesh configuration has been changed for {within:g} s by another run, or one that was killed; "
                    f"its text before is in the annotation {BEFORE}: `kubectl get configmap {self.config_map} -n "
                    f"{self.control_plane} -o yaml`; `istio-egress clean` puts back what a killed run left"
                )
            threading.Event().wait(0.5)  # between two questions to the API, not in place of one
        return found

    def pending_restore(self) -> str | None:
        """Return the text as it was before a change that nobody took back, None where there is none."""
        before: str | None = (self._read().metadata.annotations or {}).get(BEFORE)
        return before

    def restore(self, before: str) -> None:
        """Put back what `change` returned, and tell other runs that it is."""
        self.restore_text(before)
        self.unlock()

    def restore_text(self, before: str) -> None:
        """Put back what `change` returned; other runs keep waiting, for proxies may still be behind."""
        self._patch({"data": {"mesh": before}})

    def unlock(self) -> None:
        """Tell other runs that the mesh is as it was."""
        self._patch({"metadata": {"annotations": {BEFORE: None}}})

    def version(self) -> str:
        """Return what changes whenever anybody changes the mesh configuration."""
        return str(self._read().metadata.resource_version)

    def _read(self) -> client.V1ConfigMap:
        try:
            return self.api.core.read_namespaced_config_map(self.config_map, self.control_plane)
        except ApiException as error:
            raise ClusterError(f"the mesh configuration can't be read: {reason(error)}") from error

    def _patch(self, body: dict[str, Any]) -> None:
        try:
            self.api.core.patch_namespaced_config_map(self.config_map, self.control_plane, body)
        except ApiException as error:
            raise ClusterError(
                f"the mesh configuration (ConfigMap {self.config_map} in {self.control_plane}) can't be changed: "
                f"{reason(error)}"
            ) from error
