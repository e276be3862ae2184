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

import hashlib
from typing import Any

from pytest_istio_egress.cluster.markers import ACTIVE, FIRST_PORT, MARKER, Condition, Marker, listener, name_of

_HTTP = "type.googleapis.com/envoy.extensions.filters"
API, KIND = "networking.istio.io/v1alpha3", "EnvoyFilter"


class EnvoyFilterMarkers:
    """The markers of a mesh that applies EnvoyFilters."""

    kind = KIND
    rounds = 1

    def of_clients(self, number: int) -> Marker:
        """Return the EnvoyFilter for sidecars and gateways."""
        name = name_of(number)
        of_sidecars = addition("SIDECAR_OUTBOUND", _listener(name, number, _requested(number)))
        return _marker(MARKER, name, of_sidecars, addition("GATEWAY", including_routes(number)))

    def of_gateways(self, number: int) -> Marker:
        """Return the same: a gateway takes another part of it."""
        return self.of_clients(number)


def including_routes(number: int) -> dict[str, Any]:
    """Return the listener of a marker with its route, which then need not be requested."""
    return _listener(name_of(number), number, {"route_config": {"name": MARKER}})


def _requested(number: int) -> dict[str, Any]:
    """Return the routes of a marker's listener that the proxy has to request."""
    source = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
    return {"rds": {"route_config_name": str(FIRST_PORT + number), "config_source": source}}


class WorkloadMarkers:
    """The markers for users' own workloads, in their namespaces, where other workers and runs may have theirs."""

    kind = KIND
    rounds = 1

    def __init__(self, owner: str) -> None:
        """`owner` is unique among workers of all runs: resource, listener and its address belong to it."""
        self.name = f"{MARKER}-{owner}"
        first, second, third, *_ = hashlib.sha256(owner.encode()).digest()
        self._address = f"127.{first}.{second}.{third}"  # not bound; two listeners with one address are rejected

    def of_clients(self, number: int) -> Marker:
        """Return the EnvoyFilter for the sidecars of a namespace."""
        name = f"{self.name}-{number}"
        added = _listener(name, number, _requested(number), self._address)
        return _marker(self.name, name, addition("SIDECAR_OUTBOUND", added))

    def of_gateways(self, number: int) -> Marker:
        """Return the same: no gateway gets it."""
        return self.of_clients(number)


def _marker(name: str, listener_name: str, *patches: dict[str, Any]) -> Marker:
    """Return an EnvoyFilter with patches that add a listener, which a proxy has once it is active."""
    resource = {"apiVersion": API, "kind": KIND, "metadata": {"name": name}, "spec": {"configPatches": [*patches]}}
    return Marker(resource, (Condition(listener(f"^{listener_name}$"), ACTIVE),))


def addition(context: str, added: dict[str, Any]) -> dict[str, Any]:
    """Return the patch that adds a listener to the proxies of a context."""
    patch = {"operation": "ADD", "value": added}
    return {"applyTo": "LISTENER", "match": {"context": context}, "patch": patch}


def _listener(name: str, number: int, routes: dict[str, Any], address: str = "127.0.0.1") -> dict[str, Any]:
    manager = {
        "@type": f"{_HTTP}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": MARKER,
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_HTTP}.http.router.v3.Router"}}
        ],
        **routes,
    }
    return {
        "name": name,
        "traffic_direction": "OUTBOUND",
        "bind_to_port": False,
        "address": {"socket_address": {"address": address, "port_value": FIRST_PORT + number}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
