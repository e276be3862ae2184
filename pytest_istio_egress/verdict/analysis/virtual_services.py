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
from pytest_istio_egress.verdict.analysis.hosts import is_http, names_server, protocol_of
from pytest_istio_egress.verdict.analysis.mismatches import on_port
from pytest_istio_egress.verdict.analysis.visibility import export_targets, exported, why_not_applied
from pytest_istio_egress.verdict.proxy_path import Origin

MESH = "mesh"


def hosts_of(configuration: Configuration, rule: Document) -> list[str]:
    """Return the hosts of a VirtualService in full."""
    return [configuration.full_host(rule, str(host)) for host in spec_of(rule).get("hosts") or []]


def leading_to(configuration: Configuration, host: str, destination: str) -> list[Document]:
    """Return the VirtualServices of a host that have a route to a destination host."""
    return [rule for rule in configuration.rules_of(host) if leads_to(configuration, rule, destination)]


def leads_to(configuration: Configuration, rule: Document, destination: str) -> bool:
    """Whether a VirtualService, or a delegate of it, has a route to a destination host."""
    own = [each["host"] for each in configuration.destinations_of(rule)]
    return destination in own or destination in _hosts_by_delegates(configuration, rule)


def _hosts_by_delegates(configuration: Configuration, rule: Document) -> list[str]:
    """Return the destination hosts that the delegates of a VirtualService have."""
    return [
        configuration.full_host(stated_by, str((leg.get("destination") or {}).get("host", "")))
        for stated_by, route in http_routes(configuration, rule)
        if stated_by is not rule
        for leg in route.get("route") or []
    ]


def why_no_rule_leads_to(configuration: Configuration, request: ClientRequest, destination: str) -> str:
    """Return why no VirtualService takes the client's request to a destination host; empty where one should."""
    rules = leading_to(configuration, request.host, destination)
    if not rules:
        if "VirtualService" in configuration.unread:
            return ""
        lost = (each for rule in configuration.rules_of(request.host) for each in lost_delegates(configuration, rule))
        return next(lost, "") or f"no VirtualService for {request.host} routes to {destination}"
    reasons = [next(_reasons(rule, configuration, request, destination), "") for rule in rules]
    return reasons[0] if all(reasons) else ""


def _reasons(rule: Document, configuration: Configuration, request: ClientRequest, destination: str) -> Iterator[str]:
    if reason := why_not_applied(rule, hosts_of(configuration, rule), configuration, request):
        yield reason
    if unbound := why_not_for_sidecars(rule):
        yield unbound
        return
    gateways = gateways_of(rule)
    routes = [
        route
        for route in routes_of(rule)
        if any(
            configuration.full_host(rule, str((leg.get("destination") or {}).get("host", ""))) == destination
            for leg in route.get("route") or []
        )
    ]
    if not routes:  # a delegate's
        return
    if unread := why_routes_unread(configuration, rule, request):
        yield unread
    matches = [match for route in routes for match in route.get("match") or [{}]]
    own = [match for match in matches if MESH in (match.get("gateways") or gateways)]
    if not own:
        yield f"{full_name(rule)} has no match for sidecars (gateway `mesh`) on its route to {destination}"
        return
    if not any(_is_from(match, request) for match in own):
        yield f"{full_name(rule)} matches other clients: {_sources(own)}"
    ports = sorted({int(match["port"]) for match in own if match.get("port")})
    if len(ports) and all(match.get("port") not in (None, request.port) for match in own):
        listed = ", ".join(map(str, ports))
        yield f"{full_name(rule)} matches port {listed} for sidecars, and the request is for {request.port}"


def _is_from(match: Mapping[str, Any], request: ClientRequest) -> bool:
    """Whether a match includes the client by its labels and its namespace, which count only without `gateways`."""
    if match.get("gateways"):
        return True
    labels: Mapping[str, str] = match.get("sourceLabels") or {}
    namespace = match.get("sourceNamespace") or request.namespace
    return labels.items() <= request.labels.items() and namespace == request.namespace


def _sources(matches: Sequence[Mapping[str, Any]]) -> str:
    """Return the labels and namespaces of clients that matches name."""
    listed = [
        f"{name} {value}" if isinstance(value, str) else f"{name} {', '.join(f'{k}={v}' for k, v in value.items())}"
        for match in matches
        for name in ("sourceLabels", "sourceNamespace")
        if (value := match.get(name))
    ]
    return ", ".join(dict.fromkeys(listed))


def gateways_of(rule: Document) -> list[str]:
    """Return what a VirtualService is bound to: Gateways, and `mesh` for sidecars."""
    return list(map(str, spec_of(rule).get("gateways") or [MESH]))


def why_not_for_sidecars(rule: Document) -> str:
    """Return that a VirtualService is bound to Gateways only, as a main clause; empty where it is not."""
    gateways = gateways_of(rule)
    if MESH in gateways:
        return ""
    return f"{full_name(rule)} does not apply to sidecars: its gateways [{', '.join(gateways)}] lack `mesh`"


def why_routes_unread(configuration: Configuration, rule: Document, request: ClientRequest) -> str:
    """Return that the routes of a VirtualService are of another protocol than the port, as a main clause; else empty.

    Istio reads `http` routes for ports of HTTP, `tls` routes for TLS, `tcp` routes for these and for TCP.
    """
    stated = [name for name in ("http", "tls", "tcp") if spec_of(rule).get(name)]
    found = on_port(configuration, request)
    if not stated or not found or any(_reads(protocol_of(each, request.port), stated) for each in found):
        return ""
    return (
        f"{full_name(rule)} has {' and '.join(stated)} routes only, which do not apply to port {request.port}: "
        f"{full_name(found[0])} declares it as {protocol_of(found[0], request.port)}"
    )


def _reads(protocol: str, stated: Sequence[str]) -> bool:
    """Whether Istio reads some of these kinds of routes for a port; an undeclared protocol may be any."""
    if not protocol or is_http(protocol):
        return not protocol or "http" in stated
    return "tcp" in stated or (names_server(protocol) and "tls" in stated)


def other_rules(
    configuration: Configuration, request: ClientRequest, used: Origin | None
) -> Iterator[tuple[Document, str]]:
    """Yield the VirtualServices of a host that sidecars leave out because they use another one, each with a clause.

    Of HTTP only: the `tls` and `tcp` routes of several are all used.
    """
    if not any(is_http(protocol_of(each, request.port)) for each in on_port(configuration, request)):
        return
    for rule in configuration.rules_of(request.host):
        if used is None or used.kind != "VirtualService" or MESH not in gateways_of(rule) or used.names(rule):
            continue
        if not spec_of(rule).get("http"):
            continue
        if not why_not_applied(rule, hosts_of(configuration, rule), configuration, request):
            yield (
                rule,
                f"{used} and {full_name(rule)} both name {request.host}: sidecars use one VirtualService per host, "
                "here the former",
            )


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
