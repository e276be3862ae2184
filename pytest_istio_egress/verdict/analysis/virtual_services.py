"""Whom a VirtualService concerns, and where its routes lead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_istio_egress.model.failure_context import Fault
from pytest_istio_egress.verdict.analysis.configuration import (
    CLUSTER_LOCAL,
    ClientRequest,
    Configuration,
    ports_of,
    routes_of,
)
from pytest_istio_egress.verdict.analysis.visibility import Document, covers, exported, named, namespace_of, spec_of


def faults(configuration: Configuration, asked: ClientRequest) -> Iterator[Fault]:
    """Yield what is wrong with the host's VirtualServices, and the timeouts that they set."""
    for rule in configuration.rules_of(asked.host):
        if not exported(rule, asked.namespace):
            targets = ", ".join(spec_of(rule).get("exportTo") or [])
            yield Fault("rule", f"{named(rule)} is not exported to the client: its exportTo is [{targets}]")
        for route in routes_of(rule):
            if route.get("timeout"):
                yield Fault("timeout", f"{named(rule)} sets {route['timeout']}")
            for leg in route.get("route") or []:
                yield from _destination(configuration, rule, leg.get("destination") or {})


def _destination(configuration: Configuration, rule: Document, destination: Mapping[str, Any]) -> Iterator[Fault]:
    host = str(destination.get("host", ""))
    host = host if "." in host else f"{host}.{namespace_of(rule)}{CLUSTER_LOCAL}"
    listing = configuration.listing(host)
    ports = configuration.services.get(host, frozenset()) | {port for entry in listing for port in ports_of(entry)}
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
