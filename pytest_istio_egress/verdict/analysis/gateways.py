"""What keeps a Gateway, or a route of the Gateway API, from taking a request at the egress gateway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, Workload, routes_of
from pytest_istio_egress.verdict.analysis.documents import Document, covers, full_name, namespace_of, spec_of
from pytest_istio_egress.verdict.analysis.visibility import export_targets, exported


def faults(configuration: Configuration, request: ClientRequest, gateway: Workload | None) -> list[str]:
    """Return what is wrong at the gateway for the request's host, as main clauses; only of resources that lead there.

    These are the Gateways that select the gateway's pods, and those that VirtualServices of the host name.
    """
    return [
        *_references(configuration, request),
        *_selected(configuration, request, gateway),
        *_rules(configuration, request, gateway),
        *parents_missing(configuration, request.host),
        *unattached_routes(configuration, request.host),
    ]


def _named_gateways(rule: Document) -> Iterator[tuple[str, str, str]]:
    """Yield the Gateways that a VirtualService names: as written, namespace, name."""
    references = [*(spec_of(rule).get("gateways") or [])]
    for reference in dict.fromkeys(map(str, references)):
        if reference != "mesh":
            namespace, _, name = reference.rpartition("/")
            yield reference, namespace or namespace_of(rule), name


def _by_name(configuration: Configuration) -> dict[tuple[str, str], Document]:
    return {(namespace_of(each), str(each["metadata"]["name"])): each for each in configuration.gateways}


def _references(configuration: Configuration, request: ClientRequest) -> Iterator[str]:
    gateways = _by_name(configuration)
    for rule in configuration.rules_of(request.host):
        for reference, namespace, name in _named_gateways(rule):
            found = gateways.get((namespace, name))
            if found is None:
                if "Gateway" not in configuration.unread:
                    yield f"{full_name(rule)} is bound to Gateway {reference}, which does not exist"
            else:
                yield from _gateway(configuration, found, request.host)


def _gateway(configuration: Configuration, gateway: Document, host: str) -> Iterator[str]:
    if not accepts(gateway, host):
        yield f"{full_name(gateway)} has no server for {host}"
    key = (namespace_of(gateway), str(gateway["metadata"]["name"]))
    if key not in configuration.gateway_ports:
        return
    ports = configuration.gateway_ports[key]
    if ports is None:
        selector = ", ".join(f"{name}={value}" for name, value in (spec_of(gateway).get("selector") or {}).items())
        yield f"{full_name(gateway)} selects no pod ({selector})"
        return
    for server in spec_of(gateway).get("servers") or []:
        number = server["port"]["number"]
        if ports and number not in ports:
            numbers = ", ".join(map(str, sorted(ports)))
            yield f"{full_name(gateway)} listens on port {number}, but the ports of the gateway's Service are {numbers}"


def accepts(gateway: Document, host: str) -> bool:
    """Whether a server of the Gateway lists the host; its hosts may have a namespace before them."""
    servers = spec_of(gateway).get("servers") or []
    return any(covers(str(pattern).rpartition("/")[2], host) for server in servers for pattern in server["hosts"])


def selects_gateway(gateway: Document, workload: Workload) -> bool:
    """Whether a Gateway selects the pods of a gateway."""
    selector: Mapping[str, str] = spec_of(gateway).get("selector") or {}
    return bool(selector) and selector.items() <= workload.labels.items()


def _selected(configuration: Configuration, request: ClientRequest, workload: Workload | None) -> Iterator[str]:
    """Yield Gateways of this gateway's pods for just this host that no VirtualService is bound to."""
    if workload is None or "VirtualService" in configuration.unread:
        return
    rules = configuration.rules_of(request.host)
    for gateway in configuration.gateways:
        if not selects_gateway(gateway, workload) or not accepts(gateway, request.host):
            continue
        if not any(bound(rule, gateway) for rule in rules):
            yield f"no VirtualService for {request.host} is bound to {full_name(gateway)}"


def bound(rule: Document, gateway: Document) -> bool:
    """Whether a route of the rule applies at the gateway: its matches may name fewer gateways than the rule."""
    name = gateway["metadata"]["name"]
    names = {f"{namespace_of(gateway)}/{name}"} | ({name} if namespace_of(rule) == namespace_of(gateway) else set())
    if not names & set(spec_of(rule).get("gateways") or []):
        return False
    return any(
        not (route.get("match") or [])
        or any(not match.get("gateways") or names & set(match["gateways"]) for match in route["match"])
        for route in routes_of(rule)
    )


def _rules(configuration: Configuration, request: ClientRequest, workload: Workload | None) -> Iterator[str]:
    """Yield VirtualServices of the host that are bound to a Gateway, and not exported to the gateway's namespace."""
    if workload is None:
        return
    for rule in configuration.rules_of(request.host):
        if any(True for _ in _named_gateways(rule)) and not exported(rule, workload.namespace, configuration.mesh):
            targets = ", ".join(export_targets(rule, configuration.mesh))
            yield f"{full_name(rule)} is not exported to the gateway in {workload.namespace}: exportTo is [{targets}]"


def _routes_of(configuration: Configuration, host: str) -> list[Document]:
    return [
        route
        for route in configuration.routes
        if any(covers(str(pattern), host) for pattern in spec_of(route).get("hostnames") or [])
    ]


def unattached_routes(configuration: Configuration, host: str) -> Iterator[str]:
    """Yield HTTPRoutes and TLSRoutes of a host whose status says that a parent did not accept them."""
    for route in _routes_of(configuration, host):
        statuses: Sequence[Mapping[str, Any]] = (route.get("status") or {}).get("parents") or []
        for status in statuses:
            for condition in status.get("conditions") or []:
                if condition.get("type") in ("Accepted", "ResolvedRefs") and condition.get("status") == "False":
                    parent = status.get("parentRef") or {}
                    kind, name = parent.get("kind") or "Gateway", parent.get("name")
                    place = parent.get("namespace") or namespace_of(route)
                    yield (
                        f"{full_name(route)} is not attached to {kind} {name} in {place} "
                        f"({condition.get('reason')}: {str(condition.get('message') or '').rstrip('.')})"
                    )


def parents_missing(configuration: Configuration, host: str) -> Iterator[str]:
    """Yield HTTPRoutes and TLSRoutes of a host that name a Gateway which does not exist in that namespace."""
    known = {(namespace_of(each), each["metadata"]["name"]) for each in configuration.api_gateways}
    if "Gateway of the Gateway API" in configuration.unread:
        return
    for route in _routes_of(configuration, host):
        for parent in spec_of(route).get("parentRefs") or []:
            if (parent.get("kind") or "Gateway") != "Gateway":
                continue
            place = parent.get("namespace") or namespace_of(route)
            if (place, parent.get("name")) not in known:
                yield f"{full_name(route)} names the Gateway {parent.get('name')} in {place}, which does not exist"
