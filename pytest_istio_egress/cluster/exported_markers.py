"""Markers for the mesh's own egress gateways, in whose namespaces a run applies nothing.

A ServiceEntry in a namespace of the worker, exported to the gateways' namespaces alone, becomes a cluster of theirs:

    apply X, then marker n  ->  istiod: one snapshot with X and n
      -> gateway: clusters(X, n) endpoints(X) listeners(X) routes(X)

Clusters come first. So the gateway has the rest of X a moment after the cluster of n, and whoever waits for it has to
see that its listeners and routes stay the same. A mesh that sends gateways only the clusters of their own routes
(PILOT_FILTER_GATEWAY_CLUSTER_CONFIG) never shows the marker.
"""

from __future__ import annotations

from collections.abc import Collection

from pytest_istio_egress.cluster.apply import Resource
from pytest_istio_egress.cluster.markers import FIRST_PORT, MARKER, Condition, Marker
from pytest_istio_egress.model.case import CASE_NAMESPACE

API, KIND = "networking.istio.io/v1", "ServiceEntry"


class ExportedMarkers:
    """The markers of one worker for the gateways of other namespaces."""

    kind = KIND
    rounds = 1

    def __init__(self, worker: str, namespaces: Collection[str]) -> None:
        self._worker = worker
        self._namespaces = sorted(namespaces)

    def of_clients(self, number: int) -> Marker:
        """Return the same: no client is in the namespace of the mesh's gateways."""
        return self.of_gateways(number)

    def of_gateways(self, number: int) -> Marker:
        """Return the ServiceEntry."""
        host = f"{MARKER}-{self._worker}-{number}"
        resource = {
            "apiVersion": API,
            "kind": KIND,
            "metadata": {"name": MARKER, "namespace": CASE_NAMESPACE},
            "spec": {
                "hosts": [f"{host}.test"],
                "exportTo": self._namespaces,
                "location": "MESH_EXTERNAL",
                "ports": [{"number": FIRST_PORT, "name": "tcp", "protocol": "TCP"}],
                "resolution": "STATIC",
                "endpoints": [{"address": "192.0.2.80"}],
            },
        }
        path = f"/config_dump?resource=dynamic_active_clusters&name_regex=.*{host}.*"
        return Marker(resource, (Condition(path, f"||{host}."),))


def exported_marker(namespace: str) -> Resource:
    """Return the resource of all markers of a worker; `namespace` is that of its tests."""
    return Resource(API, KIND, namespace, MARKER)
