"""What keeps a host that a ServiceEntry should list from being known."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from pytest_istio_egress.model.failure_context import Fault
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, ports_of
from pytest_istio_egress.verdict.analysis.visibility import (
    Document,
    egress_hosts,
    exported,
    let_in,
    named,
    namespace_of,
    ruling,
    spec_of,
)


def faults(configuration: Configuration, asked: ClientRequest) -> Iterator[Fault]:
    """Yield why the client's proxy does not know the host, and entries that contradict each other."""
    yield from _unknown(configuration, asked)
    yield from _conflict(configuration, asked)


def _unknown(configuration: Configuration, asked: ClientRequest) -> Iterator[Fault]:
    listing = configuration.listing(asked.host)
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
    if not any(asked.port in ports_of(entry) for entry in visible):
        has = ", ".join(str(port) for entry in visible for port in ports_of(entry))
        yield Fault("entry", f"{named(visible[0])} lists the host for port {has}, not for {asked.port}")


def _conflict(configuration: Configuration, asked: ClientRequest) -> Iterator[Fault]:
    visible = [entry for entry in configuration.listing(asked.host) if exported(entry, asked.namespace)]
    same = [entry for entry in visible if asked.host in spec_of(entry)["hosts"] and asked.port in ports_of(entry)]
    for one, other in pairwise(same):
        if _said_of_port(one, asked.port) != _said_of_port(other, asked.port):
            yield Fault("conflict", f"{named(one)} and {named(other)} say different things of {asked.host}")


def _said_of_port(entry: Document, port: int) -> tuple[object, ...]:
    spec = spec_of(entry)
    said = next(each for each in spec["ports"] if each["number"] == port)
    addresses = sorted(str(endpoint.get("address")) for endpoint in spec.get("endpoints") or [])
    return said.get("protocol"), said.get("targetPort"), spec.get("resolution"), addresses
