"""Reads the way of a request from an ambient client: its ztunnel's configuration, then the waypoint's."""

from __future__ import annotations

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.inspection.explained_request import ExplainedRequest
from pytest_istio_egress.cluster.inspection.proxy_dump import proxy_dump
from pytest_istio_egress.cluster.pods import Pod, ready_pods
from pytest_istio_egress.cluster.ztunnel import ztunnel_dump, ztunnel_of
from pytest_istio_egress.model.mesh_facts import OF_GATEWAY_API
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration
from pytest_istio_egress.verdict.analysis.documents import Document, namespace_of
from pytest_istio_egress.verdict.analysis.hosts import definitions
from pytest_istio_egress.verdict.analysis.waypoints import chosen_waypoint
from pytest_istio_egress.verdict.explanation import (
    ExplainedHop,
    Way,
    ZtunnelHop,
    odd_at_waypoint,
    odd_at_ztunnel,
    service_for,
    services_in,
)
from pytest_istio_egress.verdict.explanation.way import end_of
from pytest_istio_egress.verdict.explanation.ztunnel import ZtunnelService
from pytest_istio_egress.verdict.proxy_path import RequestAtProxy, waypoint_path_of


def way_through_ztunnel(api: Api, asked: ExplainedRequest) -> Way:
    """Return the way through the client's ztunnel, and through the waypoint where it leads there."""
    request, configuration = asked.request, asked.configuration
    hop = _ztunnel_hop(api, asked)
    odd = [*odd_at_ztunnel(hop, configuration, request)]
    waypoint = _waypoint(api, hop)
    if hop.waypoint is None or waypoint is None:
        end = hop.end if hop.waypoint is None else f"no ready pod of the waypoint {hop.waypoint.host} was found"
        return Way(hops=(hop,), end=end, odd=tuple(odd))
    at_waypoint = RequestAtProxy.of_url(asked.url, request.host, address=hop.address, port=request.port)
    path = waypoint_path_of(proxy_dump(api, waypoint), at_waypoint)
    odd += odd_at_waypoint(path, hop, configuration, request)
    return Way(hops=(hop, ExplainedHop(name=f"waypoint {waypoint}", path=path)), end=end_of(path), odd=tuple(odd))


def _ztunnel_hop(api: Api, asked: ExplainedRequest) -> ZtunnelHop:
    request, configuration = asked.request, asked.configuration
    ztunnel = ztunnel_of(api, asked.client.node)
    service = service_for(
        services_in(ztunnel_dump(api, ztunnel)),
        names=_names(request, asked.domain),
        address=request.host,
        namespace=request.namespace,
    )
    entry = _definition(configuration, service) if service else None
    chosen = chosen_waypoint(entry, configuration) if entry else None
    return ZtunnelHop(
        name=f"ztunnel {ztunnel}",
        address=next(iter(service.addresses), "") if service else "",
        port=request.port,
        service=service,
        entry=entry,
        waypoint_label=chosen.label if chosen else "",
    )


def _names(request: ClientRequest, domain: str) -> list[str]:
    """Return the names that a pod's resolver tries for a host, in its order (ndots:5)."""
    suffixes = (f".{request.namespace}.svc.{domain}", f".svc.{domain}", f".{domain}")
    return [*(f"{request.host}{suffix}" for suffix in suffixes), request.host]


def _definition(configuration: Configuration, service: ZtunnelService) -> Document | None:
    """Return the ServiceEntry or Service that ztunnel's service comes from."""
    known = definitions(configuration, service.host)
    return next((each for each in known if namespace_of(each) == service.namespace), None)


def _waypoint(api: Api, hop: ZtunnelHop) -> Pod | None:
    """Return a ready pod of the waypoint; None without a waypoint, or where its pods cannot be found."""
    if hop.waypoint is None or not hop.waypoint.name:
        return None
    return next(iter(ready_pods(api, hop.waypoint.namespace, f"{OF_GATEWAY_API}={hop.waypoint.name}")), None)
