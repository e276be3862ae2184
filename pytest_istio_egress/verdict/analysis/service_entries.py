"""Faults of ServiceEntries: none lists the host for the client and the port, or two define it differently."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from pytest_istio_egress.model.failure_context import Fault
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, ports_of
from pytest_istio_egress.verdict.analysis.visibility import (
    Document,
    egress_hosts,
    exported,
    full_name,
    imports_host,
    namespace_of,
    sidecars_of_workload,
    spec_of,
)


def faults(configuration: Configuration, request: ClientRequest) -> Iterator[Fault]:
    """Yield why the client's proxy does not know the host, and ServiceEntries that contradict each other."""
    yield from _unknown(configuration, request)
    yield from _conflict(configuration, request)


def _unknown(configuration: Configuration, request: ClientRequest) -> Iterator[Fault]:
    entries = configuration.entries_of(request.host)
    if not entries:
        if request.host not in configuration.services:
            yield Fault("entry", f"no ServiceEntry lists {request.host}")
        return
    visible = [entry for entry in entries if exported(entry, request.namespace)]
    if not visible:
        targets = ", ".join(spec_of(entries[0]).get("exportTo") or [])
        yield Fault(
            "entry",
            f"{full_name(entries[0])} lists the host, but its exportTo [{targets}] does not include the client",
        )
        return
    sidecars = sidecars_of_workload(configuration.sidecars, request.namespace, request.labels)
    if sidecars and not any(imports_host(sidecars[0], namespace_of(entry), request.host) for entry in visible):
        hosts = egress_hosts(sidecars[0])
        yield Fault(
            "entry",
            f"{full_name(visible[0])} lists the host, but the egress hosts of {full_name(sidecars[0])} are {hosts}",
        )
        return
    if not any(request.port in ports_of(entry) for entry in visible):
        ports = ", ".join(str(port) for entry in visible for port in ports_of(entry))
        yield Fault("entry", f"{full_name(visible[0])} lists the host for port {ports}, not for {request.port}")


def _conflict(configuration: Configuration, request: ClientRequest) -> Iterator[Fault]:
    visible = [entry for entry in configuration.entries_of(request.host) if exported(entry, request.namespace)]
    same = [entry for entry in visible if request.host in spec_of(entry)["hosts"] and request.port in ports_of(entry)]
    for one, other in pairwise(same):
        if _definition(one, request.port) != _definition(other, request.port):
            yield Fault(
                "conflict",
                f"{full_name(one)} and {full_name(other)} define port {request.port} of {request.host} differently",
            )


def _definition(entry: Document, number: int) -> tuple[object, ...]:
    """Return how a ServiceEntry defines one port: protocol, targetPort, resolution and endpoint addresses."""
    spec = spec_of(entry)
    port = next(each for each in spec["ports"] if each["number"] == number)
    addresses = sorted(str(endpoint.get("address")) for endpoint in spec.get("endpoints") or [])
    return port.get("protocol"), port.get("targetPort"), spec.get("resolution"), addresses
