"""Faults of VirtualServices: not exported to the client, or with destinations that do not exist; and their timeouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_istio_egress.model.failure_context import Fault
from pytest_istio_egress.verdict.analysis.configuration import (
    ClientRequest,
    Configuration,
    ports_of,
    routes_of,
)
from pytest_istio_egress.verdict.analysis.visibility import Document, covers, exported, full_name, namespace_of, spec_of


def faults(configuration: Configuration, request: ClientRequest) -> Iterator[Fault]:
    """Yield the faults of the host's VirtualServices, and the timeouts that they set."""
    for rule in configuration.rules_of(request.host):
        if not exported(rule, request.namespace):
            targets = ", ".join(spec_of(rule).get("exportTo") or [])
            yield Fault("rule", f"{full_name(rule)} is not exported to the client: its exportTo is [{targets}]")
        for route in routes_of(rule):
            if route.get("timeout"):
                yield Fault("timeout", f"{full_name(rule)} sets a timeout of {route['timeout']}")
            for leg in route.get("route") or []:
                yield from _destination(configuration, rule, leg.get("destination") or {})


def _destination(configuration: Configuration, rule: Document, destination: Mapping[str, Any]) -> Iterator[Fault]:
    host = str(destination.get("host", ""))
    host = host if "." in host else f"{host}.{namespace_of(rule)}{configuration.service_suffix}"
    entries = configuration.entries_of(host)
    ports = configuration.services.get(host, frozenset()) | {port for entry in entries for port in ports_of(entry)}
    if not entries and host not in configuration.services:
        yield Fault("destination", f"{full_name(rule)} routes to {host}, which no ServiceEntry or Service defines")
        return
    port = (destination.get("port") or {}).get("number")
    if port and port not in ports:
        numbers = ", ".join(map(str, sorted(ports)))
        yield Fault("destination", f"{full_name(rule)} routes to port {port} of {host}, whose ports are {numbers}")
    subset = destination.get("subset")
    subsets = [
        each["name"]
        for policy in configuration.destination_rules
        if covers(spec_of(policy).get("host", ""), host)
        for each in spec_of(policy).get("subsets") or []
    ]
    if subset and subset not in subsets:
        yield Fault(
            "destination", f"{full_name(rule)} routes to subset {subset} of {host}, which no DestinationRule defines"
        )
