"""Markers that are EnvoyFilters, which no Sidecar resource can hide.

istiod pushes to a proxy over one stream, in this order: clusters, endpoints, listeners, routes. The EnvoyFilter adds a
listener (not bound to a port) whose route the proxy must request:

    apply X, then marker n  ->  istiod: one snapshot with X and n
      -> proxy: clusters(X) endpoints(X) listeners(X, n) routes(X) | proxy requests the route of n -> routes(n)

Envoy reports listener n as active only when its route has arrived, and istiod responds to that request only after the
push. So an active marker means that the proxy has all of X, including deletions.

For the run's own gateway the marker contains its route, because istiod does not serve routes that no Gateway has. There
an active marker means that clusters, endpoints and listeners have arrived.
"""

from __future__ import annotations

from typing import Any

from pytest_istio_egress.cluster.markers import ACTIVE, FIRST_PORT, MARKER, Condition, Marker, listener, name_of

_HTTP = "type.googleapis.com/envoy.extensions.filters"


class EnvoyFilterMarkers:
    """The markers of a mesh that applies EnvoyFilters."""

    kind = "EnvoyFilter"
    rounds = 1

    def of_clients(self, number: int) -> Marker:
        """Return the EnvoyFilter for sidecars and gateways."""
        requested = {
            "rds": {
                "route_config_name": str(FIRST_PORT + number),
                "config_source": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"},
            }
        }
        resource = {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": self.kind,
            "metadata": {"name": MARKER},
            "spec": {
                "configPatches": [
                    addition("SIDECAR_OUTBOUND", _listener(number, requested)),
                    addition("GATEWAY", including_routes(number)),
                ]
            },
        }
        return Marker(resource, (Condition(listener(f"^{name_of(number)}$"), ACTIVE),))

    def of_gateways(self, number: int) -> Marker:
        """Return the same: a gateway takes another part of it."""
        return self.of_clients(number)


def including_routes(number: int) -> dict[str, Any]:
    """Return the listener of a marker with its route, which then need not be requested."""
    return _listener(number, {"route_config": {"name": MARKER}})


def addition(context: str, added: dict[str, Any]) -> dict[str, Any]:
    """Return the patch that adds a listener to the proxies of a context."""
    patch = {"operation": "ADD", "value": added}
    return {"applyTo": "LISTENER", "match": {"context": context}, "patch": patch}


def _listener(number: int, routes: dict[str, Any]) -> dict[str, Any]:
    manager = {
        "@type": f"{_HTTP}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": MARKER,
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_HTTP}.http.router.v3.Router"}}
        ],
        **routes,
    }
    return {
        "name": name_of(number),
        "traffic_direction": "OUTBOUND",
        "bind_to_port": False,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": FIRST_PORT + number}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
