"""The part of a ztunnel in a request: to which service the connection belongs, and whether it goes to a waypoint.

client -> ztunnel: the service with the host's name, or with the address -> its waypoint, or its endpoints
                   no service -> the address that the client connects to
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_istio_egress.model.addresses import with_port
from pytest_istio_egress.verdict.analysis.documents import Document, covers, full_name
from pytest_istio_egress.verdict.explanation.way import endpoints_text, line
from pytest_istio_egress.verdict.proxy_path import Endpoint

_HEALTHY = "Healthy"


@dataclass(frozen=True, kw_only=True)
class WaypointOfService:
    """A waypoint that ztunnel sends connections to."""

    namespace: str
    """Empty where the configuration has an address and no host."""
    host: str
    """The Service's host or address."""
    port: int

    @property
    def name(self) -> str:
        """The name of its Service, which is that of its Gateway."""
        return self.host.partition(".")[0] if self.namespace else ""


@dataclass(frozen=True, kw_only=True)
class ZtunnelService:
    """A Service or a ServiceEntry's host as ztunnel knows it."""

    host: str
    namespace: str
    addresses: tuple[str, ...]
    ports: frozenset[int]
    endpoints: Mapping[int, tuple[Endpoint, ...]]
    """By the service's port."""
    waypoint: WaypointOfService | None = None


@dataclass(frozen=True, kw_only=True)
class ZtunnelHop:
    """The client's ztunnel on the way of a request."""

    name: str
    """Such as `ztunnel ztunnel-x7k2p -n istio-system`."""
    address: str
    """The address that the client connects to; empty where only DNS outside of the mesh knows it."""
    port: int
    service: ZtunnelService | None
    entry: Document | None = None
    """The ServiceEntry, or the Service, that the service comes from."""
    waypoint_label: str = ""
    """The label that chooses the waypoint, in words; empty where none does."""

    @property
    def waypoint(self) -> WaypointOfService | None:
        """The waypoint of the service, None where ztunnel forwards the connection itself."""
        return self.service.waypoint if self.service else None

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints that ztunnel itself forwards the connection to."""
        return self.service.endpoints.get(self.port, ()) if self.service else ()

    @property
    def end(self) -> str:
        """Where the connection ends, or why it goes no further, without a waypoint."""
        if self.service is None:
            return "the address that the client connects to: ztunnel forwards it, by no rule"
        if self.port not in self.service.ports:
            return f"ztunnel does not know port {self.port} of {self.service.host}"
        return endpoints_text(self.endpoints) or "no endpoint"

    def lines(self) -> Iterator[str]:
        """Yield what ztunnel knows of the request's host, each with the resource that decided it."""
        yield self.name
        if self.service is None:
            yield line("service", "none")
            return
        origin = full_name(self.entry) if self.entry else ""
        yield line("service", f"{self.service.host} (namespace {self.service.namespace})", origin)
        yield line("addresses", ", ".join(self.service.addresses) or "none")
        if self.waypoint:
            text = f"{with_port(self.waypoint.host, self.waypoint.port)}, through a tunnel (HBONE)"
            yield line("waypoint", text, self.waypoint_label)
        elif self.endpoints:
            yield line("endpoints", endpoints_text(self.endpoints))


def services_in(dump: Mapping[str, Any]) -> list[ZtunnelService]:
    """Read the services of a ztunnel's configuration dump."""
    workloads = {str(each.get("uid", "")): each for each in dump.get("workloads") or []}
    return [_service(each, workloads) for each in dump.get("services") or []]


def service_for(
    services: Sequence[ZtunnelService], *, names: Sequence[str], address: str, namespace: str
) -> ZtunnelService | None:
    """Return the service of a host, whose names are in the order of DNS, or of an address.

    Of several with one name that of the client's namespace is chosen, as ztunnel's DNS does.
    """
    for name in names:
        found = [each for each in services if covers(each.host, name)]
        if found:
            return min(found, key=lambda each: (each.host.startswith("*"), each.namespace != namespace))
    return next((each for each in services if address and address in each.addresses), None)


def _service(entry: Mapping[str, Any], workloads: Mapping[str, Mapping[str, Any]]) -> ZtunnelService:
    ports = frozenset(map(int, entry.get("ports") or {}))
    targets = list((entry.get("endpoints") or {}).values())
    endpoints = {
        port: tuple(
            _endpoint(target, workloads.get(str(target.get("workloadUid", "")), {}), int(target["port"][str(port)]))
            for target in targets
            if str(port) in (target.get("port") or {})
        )
        for port in ports
    }
    return ZtunnelService(
        host=str(entry.get("hostname", "")),
        namespace=str(entry.get("namespace", "")),
        addresses=tuple(str(vip).rpartition("/")[2] for vip in entry.get("vips") or []),
        ports=ports,
        endpoints=endpoints,
        waypoint=_waypoint(entry.get("waypoint")),
    )


def _endpoint(target: Mapping[str, Any], workload: Mapping[str, Any], port: int) -> Endpoint:
    address = next(iter(workload.get("workloadIps") or []), workload.get("hostname") or "(unknown address)")
    status = str(target.get("status") or _HEALTHY)
    return Endpoint(with_port(str(address), port), "" if status == _HEALTHY else status)


def _waypoint(entry: Mapping[str, Any] | None) -> WaypointOfService | None:
    """Read `{"destination": "NAMESPACE/HOST" or "NETWORK/ADDRESS", "hboneMtlsPort": 15008}`."""
    if not entry:
        return None
    namespace, _, host = str(entry.get("destination", "")).rpartition("/")
    is_host = any(letter.isalpha() for letter in host) and ":" not in host
    return WaypointOfService(
        namespace=namespace if is_host else "", host=host, port=int(entry.get("hboneMtlsPort") or 0)
    )
