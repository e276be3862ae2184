"""Markers of waypoints: an EnvoyFilter that adds a listener, as for gateways (envoy_filter_markers.py).

istiod patches a waypoint's listeners as inbound ones of a sidecar. They contain their routes, so an active marker means
that everything before it has arrived.
"""

from __future__ import annotations

from pytest_istio_egress.cluster.envoy_filter_markers import EnvoyFilterMarkers, addition, including_routes
from pytest_istio_egress.cluster.markers import ACTIVE, MARKER, Condition, Marker, listener, name_of


class WaypointMarkers:
    """The markers of the waypoints of a namespace."""

    kind = EnvoyFilterMarkers.kind
    rounds = 1

    def of_clients(self, number: int) -> Marker:
        """Return the same: no sidecar is in a namespace of waypoints."""
        return self.of_gateways(number)

    def of_gateways(self, number: int) -> Marker:
        """Return the EnvoyFilter."""
        resource = {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": self.kind,
            "metadata": {"name": MARKER},
            "spec": {
                "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "waypoint"}],
                "configPatches": [addition("SIDECAR_INBOUND", including_routes(number))],
            },
        }
        return Marker(resource, (Condition(listener(f"^{name_of(number)}$"), ACTIVE),))
