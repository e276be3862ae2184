"""The kinds that a cluster serves, without those of an APIService whose server does not answer.

The API server lists the groups of such an APIService, and answers 503 to any request for them: the answer of a server
that restarts, too, so requests are retried. Its list of groups in one document says which are stale.
"""

from __future__ import annotations

from typing import Any

from kubernetes.dynamic.discovery import LazyDiscoverer

_ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
"""Asks for all groups in one document; Kubernetes before 1.30 answers with a list of names, without what is stale."""


class ServedKinds(LazyDiscoverer):  # type: ignore[misc]  # the kubernetes package is untyped
    """Discovers the kinds of a group when they are first needed."""

    _left_out: frozenset[tuple[str, str]] = frozenset()

    def leave_out_stale(self) -> None:
        """Leave out the groups whose server does not answer at the moment."""
        self._left_out = self.stale_versions()

    def stale_versions(self) -> frozenset[tuple[str, str]]:
        """Return group and version of what the cluster lists and cannot serve at the moment."""
        groups = self.client.request("GET", "/apis", header_params={"Accept": _ACCEPT}).to_dict().get("items") or ()
        return frozenset(
            (group["metadata"]["name"], version["version"])
            for group in groups
            for version in group["versions"]
            if version.get("freshness") == "Stale"
        )

    def get_resources_for_api_version(self, prefix: str, group: str, version: str, preferred: Any) -> Any:
        """Return the kinds of a group in a version, by name."""
        if (group, version) in self._left_out:
            return {}
        return super().get_resources_for_api_version(prefix, group, version, preferred)
