"""Faults of Gateways: none accepts the host, no VirtualService is bound to it, or its pods or ports do not exist."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_istio_egress.model.failure_context import Fault
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, routes_of
from pytest_istio_egress.verdict.analysis.visibility import Document, covers, full_name, namespace_of, spec_of


def faults(configuration: Configuration, request: ClientRequest) -> Iterator[Fault]:
    """Yield the faults of the host's Gateways, and of its VirtualServices that refer to Gateways."""
    gateways = {(namespace_of(gateway), gateway["metadata"]["name"]): gateway for gateway in configuration.gateways}
    rules = configuration.rules_of(request.host)
    for rule in rules:
        for reference in spec_of(rule).get("gateways") or []:
            if reference == "mesh":
                continue
            namespace, _, name = reference.rpartition("/")
            gateway = gateways.get((namespace or namespace_of(rule), name))
            if gateway is None:
                yield Fault("gateway", f"{full_name(rule)} is bound to Gateway {reference}, which does not exist")
            else:
                yield from _gateway(configuration, gateway, request.host)
    for gateway in configuration.gateways:
        if _accepts(gateway, request.host) and not any(_bound(rule, gateway) for rule in rules):
            yield Fault("gateway", f"no VirtualService for {request.host} is bound to {full_name(gateway)}")


def _bound(rule: Document, gateway: Document) -> bool:
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


def _accepts(gateway: Document, host: str) -> bool:
    """Whether a server of the gateway lists the host; its hosts may have a namespace before them."""
    servers = spec_of(gateway).get("servers") or []
    return any(covers(str(pattern).rpartition("/")[2], host) for server in servers for pattern in server["hosts"])


def _gateway(configuration: Configuration, gateway: Document, host: str) -> Iterator[Fault]:
    if not _accepts(gateway, host):
        yield Fault("gateway", f"{full_name(gateway)} has no server for {host}")
    key = (namespace_of(gateway), gateway["metadata"]["name"])
    if key not in configuration.gateway_ports:
        return
    ports = configuration.gateway_ports[key]
    if ports is None:
        selector = ", ".join(f"{name}={value}" for name, value in (spec_of(gateway).get("selector") or {}).items())
        yield Fault("gateway", f"{full_name(gateway)} selects no pod ({selector})")
        return
    for server in spec_of(gateway).get("servers") or []:
        number = server["port"]["number"]
        if ports and number not in ports:
            numbers = ", ".join(map(str, sorted(ports)))
            yield Fault(
                "gateway",
                f"{full_name(gateway)} listens on port {number}, but the ports of the gateway's Service are {numbers}",
            )
