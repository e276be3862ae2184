"""Faults of a configuration as far as one host is concerned, found the way `istioctl analyze` does; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from pytest_istio_egress.cluster.surroundings import Fault
from pytest_istio_egress.cluster.visibility import (
    Document,
    covers,
    egress_hosts,
    exported,
    let_in,
    named,
    namespace_of,
    ruling,
    spec_of,
)

CLUSTER_LOCAL = ".svc.cluster.local"


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What the API holds, as it returns it, and what the resources point to.

    `services` are the ports of each Service (by its host) that a resource names and that exists. `gateway_ports`
    are, by a Gateway's namespace and name, the ports of the Services before the pods that it selects; None where it
    selects no pod. `secrets` are names by namespace, None where they may not be read.
    """

    entries: Sequence[Document] = ()
    rules: Sequence[Document] = ()
    destination_rules: Sequence[Document] = ()
    gateways: Sequence[Document] = ()
    sidecars: Sequence[Document] = ()
    services: Mapping[str, frozenset[int]] = field(default_factory=dict)
    gateway_ports: Mapping[tuple[str, str], frozenset[int] | None] = field(default_factory=dict)
    secrets: Mapping[str, frozenset[str] | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Who asked for what: the client's namespace and labels, host and port of the request."""

    namespace: str
    labels: Mapping[str, str]
    host: str
    port: int


def faults(configuration: Configuration, asked: Asked) -> list[Fault]:
    """Return what is wrong for this host, and its timeouts; an empty list means that no fault was found."""
    return [
        *_two_sidecars(configuration, asked),
        *_entry(configuration, asked),
        *_conflict(configuration, asked),
        *_rules(configuration, asked),
        *_gateways(configuration, asked),
        *_destination_rules(configuration, asked),
    ]


def _two_sidecars(configuration: Configuration, asked: Asked) -> Iterator[Fault]:
    claim = ruling(configuration.sidecars, asked.namespace, asked.labels)
    if len(claim) > 1:
        names = " and ".join(sorted(sidecar["metadata"]["name"] for sidecar in claim))
        yield Fault("sidecar", f"two Sidecars of {asked.namespace} claim this workload ({names}): the oldest rules it")


def _listing(configuration: Configuration, host: str) -> list[Document]:
    return [
        entry
        for entry in configuration.entries
        if any(covers(pattern, host) for pattern in spec_of(entry).get("hosts") or [])
    ]


def _ports(document: Document) -> list[int]:
    return [int(port["number"]) for port in spec_of(document).get("ports") or []]


def _entry(configuration: Configuration, asked: Asked) -> Iterator[Fault]:
    listing = _listing(configuration, asked.host)
    if not listing:
        if asked.host not in configuration.services:
            yield Fault("entry", f"no ServiceEntry lists {asked.host}")
        return
    visible = [entry for entry in listing if exported(entry, asked.namespace)]
    if not visible:
        targets = ", ".join(spec_of(listing[0]).get("exportTo") or [])
        yield Fault("entry", f"{named(listing[0])} lists it, but its exportTo [{targets}] hides it from the client")
        return
    claim = ruling(configuration.sidecars, asked.namespace, asked.labels)
    if claim and not any(let_in(claim[0], namespace_of(entry), asked.host) for entry in visible):
        yield Fault("entry", f"{named(visible[0])} lists it, but {named(claim[0])} lets in {egress_hosts(claim[0])}")
        return
    if not any(asked.port in _ports(entry) for entry in visible):
        has = ", ".join(str(port) for entry in visible for port in _ports(entry))
        yield Fault("entry", f"{named(visible[0])} lists the host for port {has}, not for {asked.port}")


def _conflict(configuration: Configuration, asked: Asked) -> Iterator[Fault]:
    visible = [entry for entry in _listing(configuration, asked.host) if exported(entry, asked.namespace)]
    same = [entry for entry in visible if asked.host in spec_of(entry)["hosts"] and asked.port in _ports(entry)]
    for one, other in pairwise(same):
        if _said_of_port(one, asked.port) != _said_of_port(other, asked.port):
            yield Fault("conflict", f"{named(one)} and {named(other)} say different things of {asked.host}")


def _said_of_port(entry: Document, port: int) -> tuple[object, ...]:
    spec = spec_of(entry)
    said = next(each for each in spec["ports"] if each["number"] == port)
    addresses = sorted(str(endpoint.get("address")) for endpoint in spec.get("endpoints") or [])
    return said.get("protocol"), said.get("targetPort"), spec.get("resolution"), addresses


def _of_host(configuration: Configuration, host: str) -> list[Document]:
    return [
        rule
        for rule in configuration.rules
        if any(covers(pattern, host) for pattern in spec_of(rule).get("hosts") or [])
    ]


def _rules(configuration: Configuration, asked: Asked) -> Iterator[Fault]:
    for rule in _of_host(configuration, asked.host):
        if not exported(rule, asked.namespace):
            targets = ", ".join(spec_of(rule).get("exportTo") or [])
            yield Fault("rule", f"{named(rule)} is not exported to the client: its exportTo is [{targets}]")
        for route in _routes(rule):
            if route.get("timeout"):
                yield Fault("timeout", f"{named(rule)} sets {route['timeout']}")
            for leg in route.get("route") or []:
                yield from _destination(configuration, rule, leg.get("destination") or {})


def _routes(rule: Document) -> list[Mapping[str, Any]]:
    spec = spec_of(rule)
    return [route for protocol in ("http", "tls", "tcp") for route in spec.get(protocol) or []]


def _destination(configuration: Configuration, rule: Document, destination: Mapping[str, Any]) -> Iterator[Fault]:
    host = str(destination.get("host", ""))
    host = host if "." in host else f"{host}.{namespace_of(rule)}{CLUSTER_LOCAL}"
    listing = _listing(configuration, host)
    ports = configuration.services.get(host, frozenset()) | {port for entry in listing for port in _ports(entry)}
    if not listing and host not in configuration.services:
        yield Fault("destination", f"{named(rule)} routes to {host}, which no ServiceEntry or Service has")
        return
    port = (destination.get("port") or {}).get("number")
    if port and port not in ports:
        has = ", ".join(map(str, sorted(ports)))
        yield Fault("destination", f"{named(rule)} routes to port {port} of {host}, which has {has}")
    subset = destination.get("subset")
    known = [
        each["name"]
        for policy in configuration.destination_rules
        if covers(spec_of(policy).get("host", ""), host)
        for each in spec_of(policy).get("subsets") or []
    ]
    if subset and subset not in known:
        yield Fault("destination", f"{named(rule)} routes to subset {subset} of {host}, which no DestinationRule has")


def _gateways(configuration: Configuration, asked: Asked) -> Iterator[Fault]:
    known = {(namespace_of(gateway), gateway["metadata"]["name"]): gateway for gateway in configuration.gateways}
    rules = _of_host(configuration, asked.host)
    for rule in rules:
        for name in spec_of(rule).get("gateways") or []:
            if name == "mesh":
                continue
            where, _, what = name.rpartition("/")
            gateway = known.get((where or namespace_of(rule), what))
            if gateway is None:
                yield Fault("gateway", f"{named(rule)} is bound to Gateway {name}, which does not exist")
            else:
                yield from _gateway(configuration, gateway, asked.host)
    for gateway in configuration.gateways:
        if _accepts(gateway, asked.host) and not any(_bound(rule, gateway) for rule in rules):
            yield Fault("gateway", f"no VirtualService for {asked.host} is bound to {named(gateway)}")


def _bound(rule: Document, gateway: Document) -> bool:
    """Whether a route of the rule holds at the gateway: its matches may name fewer gateways than the rule."""
    name = gateway["metadata"]["name"]
    names = {f"{namespace_of(gateway)}/{name}"} | ({name} if namespace_of(rule) == namespace_of(gateway) else set())
    if not names & set(spec_of(rule).get("gateways") or []):
        return False
    return any(
        not (route.get("match") or [])
        or any(not match.get("gateways") or names & set(match["gateways"]) for match in route["match"])
        for route in _routes(rule)
    )


def _accepts(gateway: Document, host: str) -> bool:
    hosts = [
        str(each).rpartition("/")[2] for server in spec_of(gateway).get("servers") or [] for each in server["hosts"]
    ]
    return any(covers(pattern, host) for pattern in hosts)


def _gateway(configuration: Configuration, gateway: Document, host: str) -> Iterator[Fault]:
    if not _accepts(gateway, host):
        yield Fault("gateway", f"{named(gateway)} has no server for {host}")
    key = (namespace_of(gateway), gateway["metadata"]["name"])
    if key not in configuration.gateway_ports:
        return
    ports = configuration.gateway_ports[key]
    if ports is None:
        selector = ", ".join(f"{name}={value}" for name, value in (spec_of(gateway).get("selector") or {}).items())
        yield Fault("gateway", f"{named(gateway)} selects no pod ({selector})")
        return
    for server in spec_of(gateway).get("servers") or []:
        number = server["port"]["number"]
        if ports and number not in ports:
            has = ", ".join(map(str, sorted(ports)))
            yield Fault("gateway", f"{named(gateway)} listens on port {number}; the gateway's Service has {has}")


def _destination_rules(configuration: Configuration, asked: Asked) -> Iterator[Fault]:
    for policy in configuration.destination_rules:
        host = str(spec_of(policy).get("host", ""))
        if "." in host and host not in configuration.services and not _listing(configuration, host):
            yield Fault("rule", f"{named(policy)} is for {host}, which no ServiceEntry or Service has")
        elif covers(host, asked.host):
            yield from _secrets(configuration, policy, asked.namespace)


def _secrets(configuration: Configuration, policy: Document, namespace: str) -> Iterator[Fault]:
    traffic = spec_of(policy).get("trafficPolicy") or {}
    for settings in [traffic, *(traffic.get("portLevelSettings") or [])]:
        name = (settings.get("tls") or {}).get("credentialName")
        targets = [where for where in configuration.secrets if exported(policy, where)]
        for where in targets:
            names = configuration.secrets[where]
            if name and names is not None and name not in names and (where == namespace or namespace not in targets):
                yield Fault("secret", f"{named(policy)} asks for the Secret {name}, which {where} does not have")
