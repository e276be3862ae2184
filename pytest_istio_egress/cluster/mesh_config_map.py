"""Changes the mesh configuration for the duration of a test, and restores its exact text.

before:          ConfigMap istio, data.mesh: the original text
during:          data.mesh: the changed text; annotation istio-egress.dev/mesh-before: the original text
proxies sync:    data.mesh: the original text; annotation: still there
after:           data.mesh: the original text; no annotation

Other runs wait until the annotation is gone before they change the configuration, and before they accept a failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.poll import poll

BEFORE = "istio-egress.dev/mesh-before"
CHANGED_BY = "istio-egress.dev/mesh-changed-by"
"""Annotation with the run that has changed the configuration."""


class MeshConfigMap:
    """The ConfigMap with the mesh configuration of one control plane; one change at a time.

    An empty name stands for a control plane whose configuration is not in the cluster: it cannot be changed.
    """

    def __init__(self, api: Api, control_plane: str = "istio-system", config_map: str = "istio", run: str = "") -> None:
        self.api = api
        self.run = run
        self.control_plane = control_plane
        self.config_map = config_map

    def change(self, changes: Mapping[str, Any]) -> str:
        """Set fields of the mesh configuration (None removes one); return the original text.

        Waits for other runs that have changed it; raises ClusterError after `timeouts.other_run` seconds.
        """
        current = self.wait_unlocked()
        before = str((current.data or {}).get("mesh", ""))
        merged = {**(yaml.safe_load(before) or {}), **changes}
        changed = {name: value for name, value in merged.items() if value is not None}
        # With its version: the API server rejects this if the ConfigMap was changed since it was read.
        sent = {
            "metadata": {
                "annotations": {BEFORE: before, CHANGED_BY: self.run},
                "resourceVersion": current.metadata.resource_version,
            },
            "data": {"mesh": yaml.safe_dump(changed)},
        }
        try:
            self._patch(sent)
        except ClusterError:
            if (self._read().data or {}).get("mesh") != sent["data"]["mesh"]:
                raise
            # The change had arrived, but its response was lost: the retry conflicted with it.
        return before

    def wait_unlocked(self) -> client.V1ConfigMap:
        """Return the ConfigMap as soon as no run has changed it; raises ClusterError if that takes too long."""
        timeout = self.api.timeouts.other_run
        unlocked = poll(self._read_unlocked, every=0.5, timeout=timeout)
        if unlocked is None:
            raise ClusterError(
                f"another or a killed run has changed the mesh configuration for {timeout:g} s; its original text "
                f"is in the annotation {BEFORE} (`kubectl get configmap {self.config_map} -n {self.control_plane} -o "
                "yaml`); `istio-egress clean` restores it after a killed run"
            )
        return unlocked

    def _read_unlocked(self) -> client.V1ConfigMap | None:
        current = self._read()
        return None if BEFORE in (current.metadata.annotations or {}) else current

    def pending_restore(self) -> str | None:
        """Return the original text of a change that was not restored, None where there is none."""
        current = self._read_if_any()
        before: str | None = ((current.metadata.annotations or {}) if current else {}).get(BEFORE)
        return before

    def restore_own_change(self) -> None:
        """Restore the configuration if this run has changed it: an interrupted test may not have come to it."""
        current = self._read_if_any()
        annotations = (current.metadata.annotations or {}) if current else {}
        if BEFORE in annotations and annotations.get(CHANGED_BY) == self.run:
            self.restore(annotations[BEFORE])

    def restore(self, before: str) -> None:
        """Restore the text that `change` returned, and unlock the configuration for other runs."""
        self.restore_text(before)
        self.unlock()

    def restore_text(self, before: str) -> None:
        """Restore the text that `change` returned; other runs keep waiting until proxies are in sync again."""
        self._patch({"data": {"mesh": before}})

    def unlock(self) -> None:
        """Unlock the configuration for other runs."""
        self._patch({"metadata": {"annotations": {BEFORE: None, CHANGED_BY: None}}})

    def version(self) -> str:
        """Return the ConfigMap's version, which changes with the mesh configuration; empty where it does not exist."""
        current = self._read_if_any()
        return str(current.metadata.resource_version) if current else ""

    def _read_if_any(self) -> client.V1ConfigMap | None:
        """Return the ConfigMap, None where there is none: a control plane outside of the cluster may not need it."""
        return self._read() if self.config_map else None

    def _read(self) -> client.V1ConfigMap:
        try:
            return self.api.core.read_namespaced_config_map(self.config_map, self.control_plane)
        except ApiException as error:
            raise ClusterError(
                f"cannot read the mesh configuration (ConfigMap {self.config_map} in {self.control_plane}): "
                f"{reason(error)}"
            ) from error

    def _patch(self, body: dict[str, Any]) -> None:
        try:
            self.api.core.patch_namespaced_config_map(self.config_map, self.control_plane, body)
        except ApiException as error:
            raise ClusterError(
                f"cannot change the mesh configuration (ConfigMap {self.config_map} in {self.control_plane}): "
                f"{reason(error)}"
            ) from error
