"""Which Gateway takes a host, who is bound to it, and whether it can be reached."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_istio_egress.model.failure_context import Fault
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, routes_of
from pytest_istio_egress.verdict.analysis.visibility import Document, covers, named, namespace_of, spec_of


def faults(configuration: Configuration, asked: ClientRequest) -> Iterator[Fault]:
    """Yield what is wrong with the Gateways of the host."""
    known = {(namespace_of(gateway), gateway["metadata"]["name"]): gateway for gateway in configuration.gateways}
    rules = configuration.rules_of(asked.host)
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
        for route in routes_of(rule)
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
