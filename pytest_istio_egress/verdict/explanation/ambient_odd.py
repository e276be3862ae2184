"""What is unusual about a request's way through ztunnel and a waypoint; main clauses without a full stop."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_istio_egress.model.ambient_names import WAYPOINT_BOUND
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration
from pytest_istio_egress.verdict.analysis.documents import Document, full_name, spec_of
from pytest_istio_egress.verdict.analysis.hosts import why_unknown
from pytest_istio_egress.verdict.analysis.policies import action_of
from pytest_istio_egress.verdict.analysis.waypoints import (
    chosen_waypoint,
    condition_of,
    policies_on,
    unattached_routes,
)
from pytest_istio_egress.verdict.explanation.odd import odd_cluster
from pytest_istio_egress.verdict.explanation.ztunnel import ZtunnelHop
from pytest_istio_egress.verdict.proxy_path import ProxyPath


def odd_at_ztunnel(hop: ZtunnelHop, configuration: Configuration, request: ClientRequest) -> Iterator[str]:
    """Yield what is odd at the client's ztunnel."""
    if hop.service is None:
        yield from _without_service(configuration, request)
        return
    if not hop.service.addresses:
        yield (
            f"{hop.service.host} has no address in the mesh, so that ztunnel cannot tell which connections are for it"
        )
    if hop.port not in hop.service.ports:
        ports = ", ".join(map(str, sorted(hop.service.ports)))
        yield f"{hop.service.host} is defined for port {ports}, not for {hop.port}"
    elif hop.waypoint is None and not hop.endpoints:
        yield f"{hop.service.host} has no endpoints"
    if hop.entry is not None and hop.entry["kind"] == "ServiceEntry":
        yield from _without_waypoint(hop, hop.entry, configuration, request)
        for route, condition in unattached_routes(hop.entry, request.host, configuration):
            yield f"{full_name(route)} does not apply: {condition.get('message') or condition.get('reason')}"


def odd_at_waypoint(
    path: ProxyPath, hop: ZtunnelHop, configuration: Configuration, request: ClientRequest
) -> Iterator[str]:
    """Yield what is odd at the waypoint, and which policies it enforces."""
    if path.chain is None:
        yield f"the waypoint has no filter chain for {path.request.address or 'this address'} and port {hop.port}"
    elif path.http and path.route is None:
        yield f"the waypoint has no route for {path.request.authority}"
    yield from odd_cluster(path, configuration, request)
    for policy in policies_on(hop.entry, configuration) if hop.entry else ():
        yield f"{full_name(policy)} ({action_of(policy)}) applies at the waypoint"


def _without_service(configuration: Configuration, request: ClientRequest) -> Iterator[str]:
    yield why_unknown(configuration, request) or f"ztunnel knows no service {request.host}"
    yield "no outbound traffic policy blocks a client in ambient mode: REGISTRY_ONLY limits sidecars and gateways"


def _without_waypoint(
    hop: ZtunnelHop, entry: Document, configuration: Configuration, request: ClientRequest
) -> Iterator[str]:
    if hop.waypoint is not None:
        return
    chosen = chosen_waypoint(entry, configuration)
    if chosen is not None and chosen.name:
        bound = condition_of(entry, WAYPOINT_BOUND)
        why = bound.get("message") or bound.get("reason")
        yield f"{full_name(entry)} is not bound to {chosen}, which {chosen.label} chooses" + (f": {why}" if why else "")
    rules = [rule for rule in configuration.rules_of(request.host) if "mesh" in spec_of(rule).get("gateways", ["mesh"])]
    ignored = [*rules, *policies_on(entry, configuration)]
    yield from (
        f"{full_name(each)} has no effect on ambient clients: {full_name(entry)} has no waypoint" for each in ignored
    )
