"""What keeps a Gateway from taking a request at the egress gateway."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, Workload, routes_of
from pytest_istio_egress.verdict.analysis.documents import Document, covers, full_name, namespace_of, spec_of
from pytest_istio_egress.verdict.analysis.gateway_api import unattached
from pytest_istio_egress.verdict.analysis.visibility import export_targets, exported


def faults(configuration: Configuration, request: ClientRequest, gateway: Workload | None) -> list[str]:
    """Return what is wrong at the gateway for the request's host, as main clauses; only of resources that lead there.

    These are the Gateways that select the gateway's pods, and those that VirtualServices of the host name.
    """
    return [
        *_references(configuration, request),
        *_selected(configuration, request, gateway),
        *_rules(configuration, request, gateway),
        *_ports(configuration, request, gateway),
        *_conflicts(configuration, request, gateway),
        *unattached(configuration, request.host),
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
    return any(_serves(server, host) for server in spec_of(gateway).get("servers") or [])


def _serves(server: Mapping[str, Any], host: str) -> bool:
    return any(covers(str(pattern).rpartition("/")[2], host) for pattern in server["hosts"])


def selects_gateway(gateway: Document, workload: Workload) -> bool:
    """Whether a Gateway selects the pods of a gateway."""
    selector: Mapping[str, str] = spec_of(gateway).get("selector") or {}
    return bool(selector) and selector.items() <= workload.labels.items()


def _selected(configuration: Configuration, request: ClientRequest, workload: Workload | None) -> Iterator[str]:
    """Yield Gateways of this gateway's pods that accept the host, and that no VirtualService is bound to.

    Not those whose ports another Gateway with a VirtualService of the host has as well, nor, where such rules name
    Gateways at all, those that accept the host by a wildcard alone: they are for other hosts.
    """
    if workload is None or "VirtualService" in configuration.unread:
        return
    rules, host = configuration.rules_of(request.host), request.host
    own = [each for each in configuration.gateways if selects_gateway(each, workload) and accepts(each, host)]
    taken = {place for gateway in own if _is_bound(gateway, rules) for place in _places(gateway, host)}
    elsewhere = any(True for rule in rules for _ in _named_gateways(rule))
    for gateway in own:
        if _is_bound(gateway, rules) or _places(gateway, host) <= taken:
            continue
        if _names(gateway, host) or not elsewhere:
            yield f"no VirtualService for {host} is bound to {full_name(gateway)}"


def _is_bound(gateway: Document, rules: Iterable[Document]) -> bool:
    return any(bound(rule, gateway) for rule in rules)


def _places(gateway: Document, host: str) -> set[tuple[int, str | None]]:
    """Return where the servers of a Gateway listen that accept a host."""
    return {_place(server) for server in spec_of(gateway).get("servers") or [] if _serves(server, host)}


def _names(gateway: Document, host: str) -> bool:
    """Whether a server of the Gateway lists just this host, not only a wildcard that covers it."""
    servers = spec_of(gateway).get("servers") or []
    return any(str(pattern).rpartition("/")[2] == host for server in servers for pattern in server["hosts"])


def bound(rule: Document, gateway: Document) -> bool:
    """Whether a route of the rule applies at the gateway: its matches may name fewer gateways than the rule."""
    return any(True for _ in _matches_at(rule, gateway))


def _matches_at(rule: Document, gateway: Document) -> Iterator[Mapping[str, Any]]:
    """Yield the matches of a VirtualService that apply at a Gateway; an empty one for a route without matches."""
    names = _names_of(rule, gateway)
    if not names & set(spec_of(rule).get("gateways") or []):
        return
    for route in routes_of(rule):
        for match in route.get("match") or [{}]:
            if not match.get("gateways") or names & set(match["gateways"]):
                yield match


def _names_of(rule: Document, gateway: Document) -> set[str]:
    """Return the names by which a VirtualService may refer to a Gateway."""
    name = gateway["metadata"]["name"]
    own = {name} if namespace_of(rule) == namespace_of(gateway) else set()
    return {f"{namespace_of(gateway)}/{name}"} | own


def _ports(configuration: Configuration, request: ClientRequest, workload: Workload | None) -> Iterator[str]:
    """Yield VirtualServices of the host whose matches at a Gateway are all for ports that its servers do not have."""
    own = [each for each in configuration.gateways if workload is not None and selects_gateway(each, workload)]
    for rule in configuration.rules_of(request.host):
        for gateway in own:
            matched = [match.get("port") for match in _matches_at(rule, gateway)]
            ports = {server["port"]["number"] for server in spec_of(gateway).get("servers") or []}
            if matched and not any(port is None or port in ports for port in matched):
                yield (
                    f"{full_name(rule)} matches port {_listed(matched)} at {full_name(gateway)}, whose servers have "
                    f"port {_listed(ports)}"
                )


def _listed(ports: Iterable[Any]) -> str:
    return ", ".join(map(str, sorted(set(ports))))


_HTTP, _TCP = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB"}), frozenset({"TCP", "MONGO", "MYSQL", "REDIS"})


def _conflict(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether one of two servers of a port is plain HTTP and the other TCP: istiod leaves out one of them."""
    protocols = [str(server["port"].get("protocol") or "").upper() for server in (one, other)]
    return any(first in _HTTP and second in _TCP for first, second in (protocols, protocols[::-1]))


def _conflicts(configuration: Configuration, request: ClientRequest, workload: Workload | None) -> Iterator[str]:
    """Yield Gateways of other hosts that declare a port of this host's Gateway with another protocol."""
    own = [each for each in configuration.gateways if workload is not None and selects_gateway(each, workload)]
    servers = [(gateway, server) for gateway in own for server in spec_of(gateway).get("servers") or []]
    serving = [(gateway, server) for gateway, server in servers if _serves(server, request.host)]
    for (gateway, server), (other, each) in product(serving, servers):
        if other is not gateway and _place(each) == _place(server) and _conflict(each, server):
            yield (
                f"{full_name(other)} declares port {server['port']['number']} as {each['port'].get('protocol')}, and "
                f"{full_name(gateway)} as {server['port'].get('protocol')}: a port of the gateway has one of the two "
                "only"
            )


def _place(server: Mapping[str, Any]) -> tuple[int, str | None]:
    """Return where a server listens: its port and address."""
    return server["port"]["number"], server.get("bind")


def _rules(configuration: Configuration, request: ClientRequest, workload: Workload | None) -> Iterator[str]:
    """Yield VirtualServices of the host that are bound to a Gateway, and not exported to the gateway's namespace."""
    if workload is None:
        return
    for rule in configuration.rules_of(request.host):
        if any(True for _ in _named_gateways(rule)) and not exported(rule, workload.namespace, configuration.mesh):
            targets = ", ".join(export_targets(rule, configuration.mesh))
            yield f"{full_name(rule)} is not exported to the gateway in {workload.namespace}: exportTo is [{targets}]"
