"""Changes the mesh's own configuration for the length of a case, and puts it back as it was, to the letter.

before:  ConfigMap istio, data.mesh                                          its text
during:  the text with the changes; annotation istio-egress.dev/mesh-before  its text, for whoever finds it so
after:   its text again, no annotation
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason

BEFORE = "istio-egress.dev/mesh-before"


class MeshSettings:
    """The ConfigMap that istiod watches; one change at a time."""

    def __init__(self, api: Api, control_plane: str = "istio-system", config_map: str = "istio") -> None:
        self.api = api
        self.control_plane = control_plane
        self.config_map = config_map

    def change(self, changes: Mapping[str, Any]) -> str:
        """Set fields of the mesh configuration (None: take them out); returns its text as it was.

        ClusterError where another run has it changed.
        """
        try:
            found = self.api.core.read_namespaced_config_map(self.config_map, self.control_plane)
        except ApiException as error:
            raise ClusterError(f"the mesh configuration can't be read: {reason(error)}") from error
        if BEFORE in (found.metadata.annotations or {}):
            raise ClusterError(
                f"the mesh configuration is changed by another run, or one that was killed; its text before is in the "
                f"annotation {BEFORE}: `kubectl get configmap {self.config_map} -n {self.control_plane} -o yaml`"
            )
        before = str((found.data or {}).get("mesh", ""))
        merged = {**(yaml.safe_load(before) or {}), **changes}
        changed = {name: value for name, value in merged.items() if value is not None}
        # With its version: should somebody have changed it since it was read, the API refuses this.
        self._patch(
            {
                "metadata": {"annotations": {BEFORE: before}, "resourceVersion": found.metadata.resource_version},
                "data": {"mesh": yaml.safe_dump(changed)},
            }
        )
        return before

    def left_changed(self) -> str | None:
        """Return the text as it was before a change that nobody took back, None where there is none."""
        try:
            found = self.api.core.read_namespaced_config_map(self.config_map, self.control_plane)
        except ApiException as error:
            raise ClusterError(f"the mesh configuration can't be read: {reason(error)}") from error
        before: str | None = (found.metadata.annotations or {}).get(BEFORE)
        return before

    def restore(self, before: str) -> None:
        """Put back what `change` returned."""
        self._patch({"metadata": {"annotations": {BEFORE: None}}, "data": {"mesh": before}})

    def _patch(self, body: dict[str, Any]) -> None:
        try:
            self.api.core.patch_namespaced_config_map(self.config_map, self.control_plane, body)
        except ApiException as error:
            raise ClusterError(
                f"the mesh configuration (ConfigMap {self.config_map} in {self.control_plane}) can't be changed: "
                f"{reason(error)}"
            ) from error
