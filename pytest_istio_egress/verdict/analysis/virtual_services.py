"""Why a VirtualService does not take a client's request: its gateways, matches, scope, or its delegates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_istio_egress.verdict.analysis.configuration import (
    ClientRequest,
    Configuration,
    routes_of,
)
from pytest_istio_egress.verdict.analysis.documents import Document, full_name, namespace_of, spec_of
from pytest_istio_egress.verdict.analysis.visibility import export_targets, exported, why_not_applied

MESH = "mesh"


def hosts_of(configuration: Configuration, rule: Document) -> list[str]:
    """Return the hosts of a VirtualService in full."""
    return [configuration.full_host(rule, str(host)) for host in spec_of(rule).get("hosts") or []]


def leading_to(configuration: Configuration, host: str, destination: str) -> list[Document]:
    """Return the VirtualServices of a host that have a route to a destination host."""
    return [
        rule
        for rule in configuration.rules_of(host)
        if any(each["host"] == destination for each in configuration.destinations_of(rule))
    ]


def why_no_rule_leads_to(configuration: Configuration, request: ClientRequest, destination: str) -> str:
    """Return why no VirtualService takes the client's request to a destination host; empty where one should."""
    rules = leading_to(configuration, request.host, destination)
    if not rules:
        if "VirtualService" in configuration.unread:
            return ""
        return f"no VirtualService for {request.host} routes to {destination}"
    reasons = [next(_reasons(rule, configuration, request, destination), "") for rule in rules]
    return reasons[0] if all(reasons) else ""


def _reasons(rule: Document, configuration: Configuration, request: ClientRequest, destination: str) -> Iterator[str]:
    if reason := why_not_applied(rule, hosts_of(configuration, rule), configuration, request):
        yield reason
    gateways = list(map(str, spec_of(rule).get("gateways") or [MESH]))
    if MESH not in gateways:
        yield f"{full_name(rule)} does not apply to sidecars: its gateways [{', '.join(gateways)}] lack `mesh`"
        return
    routes = [
        route
        for route in routes_of(rule)
        if any(
            configuration.full_host(rule, str((leg.get("destination") or {}).get("host", ""))) == destination
            for leg in route.get("route") or []
        )
    ]
    matches = [match for route in routes for match in route.get("match") or [{}]]
    own = [match for match in matches if MESH in (match.get("gateways") or gateways)]
    if not own:
        yield f"{full_name(rule)} has no match for sidecars (gateway `mesh`) on its route to {destination}"
        return
    ports = sorted({int(match["port"]) for match in own if match.get("port")})
    if len(ports) and all(match.get("port") not in (None, request.port) for match in own):
        listed = ", ".join(map(str, ports))
        yield f"{full_name(rule)} matches port {listed} for sidecars, and the request is for {request.port}"


def lost_delegates(configuration: Configuration, rule: Document) -> Iterator[str]:
    """Yield the delegates of a VirtualService that do not exist, or are not exported to its namespace."""
    for route in spec_of(rule).get("http") or []:
        if not (delegate := route.get("delegate")):
            continue
        namespace = str(delegate.get("namespace") or namespace_of(rule))
        found = delegate_of(configuration, delegate, namespace)
        if found is None:
            if "VirtualService" not in configuration.unread:
                yield f"{full_name(rule)} delegates to {delegate['name']} in {namespace}, which does not exist"
        elif not exported(found, namespace_of(rule), configuration.mesh):
            targets = ", ".join(export_targets(found, configuration.mesh))
            stated = "its exportTo is" if spec_of(found).get("exportTo") else "exportTo by default of the mesh is"
            yield (
                f"{full_name(rule)} delegates to {full_name(found)}, which is not exported to {namespace_of(rule)}: "
                f"{stated} [{targets}], so the routes of the delegate are left out"
            )


def delegate_of(configuration: Configuration, delegate: Mapping[str, Any], namespace: str) -> Document | None:
    """Return the VirtualService that a route delegates to."""
    return next(
        (
            each
            for each in configuration.rules
            if (each["metadata"]["name"], namespace_of(each)) == (delegate.get("name"), namespace)
        ),
        None,
    )


def http_routes(configuration: Configuration, rule: Document) -> Sequence[tuple[Document, Mapping[str, Any]]]:
    """Return the HTTP routes of a VirtualService with the resource that states each: itself, or a delegate."""
    found: list[tuple[Document, Mapping[str, Any]]] = []
    for route in spec_of(rule).get("http") or []:
        delegate = route.get("delegate")
        target = (
            delegate_of(configuration, delegate, str(delegate.get("namespace") or namespace_of(rule)))
            if delegate
            else None
        )
        if target is not None:
            found += [(target, each) for each in spec_of(target).get("http") or []]
        else:
            found.append((rule, route))
    return found
