"""Markers of a mesh without EnvoyFilters: an AuthorizationPolicy for sidecars, a Gateway for the run's own gateway.

The AuthorizationPolicy applies to inbound requests, so no Sidecar resource can hide it, and it has the action AUDIT, so
it denies none. The number of the marker is a server name (SNI) in its only rule. istiod makes an RBAC filter of it in
the listener `virtualInbound`, which every sidecar has, with and without a Service or `ingress` (unless its interception
mode is NONE).

That listener requests nothing from istiod, so it is active as soon as it has arrived, which may be before the routes of
the same push. But istiod ends one push to a proxy before it begins the next one. So two markers are applied, the second
when the first has arrived:

    apply X, then marker n     ->  istiod: one snapshot with X and n
      -> proxy: clusters(X) endpoints(X) listeners(X, n) routes(X)
    n is active: apply n+1     ->  istiod: the next snapshot
      -> proxy: listeners(n+1) ...

If n+1 is active, the proxy has received all of the push with n, its routes included. What the proxy had to request,
endpoints of a cluster new in X and routes of a listener new in X, it has requested before n was active, and istiod
responds to requests before it begins another push. Until such a listener has its routes, Envoy counts it as warming, so
none may be.

The run's own gateway takes a Gateway with a port of its own: a listener whose route the gateway must request, which
shows the same as that of an EnvoyFilter (envoy_filter_markers.py), the routes included.
"""

from __future__ import annotations

from typing import Any

from pytest_istio_egress.cluster.markers import ACTIVE, FIRST_PORT, MARKER, Condition, Marker, listener, name_of

_WARMING = "listener_manager.total_listeners_warming"


class PolicyMarkers:
    """The markers of a mesh that refuses EnvoyFilters, or ignores them."""

    kind = "AuthorizationPolicy"
    rounds = 2

    def of_clients(self, number: int) -> Marker:
        """Return the AuthorizationPolicy; `mask` leaves out listeners that are warming, draining or rejected."""
        rule = {"when": [{"key": "connection.sni", "values": [name_of(number)]}]}
        return Marker(
            _resource("security.istio.io/v1", self.kind, {"action": "AUDIT", "rules": [rule]}),
            (
                Condition(f"{listener('^virtualInbound$')}&mask=active_state", f'"{name_of(number)}"'),
                Condition(f"/stats?filter=^{_WARMING}$", f"{_WARMING}: 0"),
            ),
        )

    def of_gateways(self, number: int) -> Marker:
        """Return the Gateway, in the names of fixtures/gateway.yaml."""
        port = FIRST_PORT + number
        server = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "hosts": [f"{MARKER}.test"]}
        gateway = {"selector": {"gateway": "egress-gateway"}, "servers": [server]}
        return Marker(
            _resource("networking.istio.io/v1", "Gateway", gateway), (Condition(listener(f".*_{port}"), ACTIVE),)
        )


def _resource(api_version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": MARKER}, "spec": spec}
