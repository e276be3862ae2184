"""Why a client's proxy does not know a host, or knows another protocol or definition for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pytest_istio_egress.model.addresses import is_address
from pytest_istio_egress.verdict.analysis.configuration import (
    ClientRequest,
    Configuration,
    ports_of,
)
from pytest_istio_egress.verdict.analysis.documents import Document, full_name, spec_of
from pytest_istio_egress.verdict.analysis.visibility import why_not_applied

_HTTP = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB"})
_NAME_IN_TLS = frozenset({"HTTPS", "TLS"})


def definitions(configuration: Configuration, host: str) -> list[Document]:
    """Return what defines a host: ServiceEntries that list it, and the Service of a cluster-local name."""
    service = configuration.service_of(host)
    return [*configuration.entries_of(host), *([service] if service else [])]


def applied(configuration: Configuration, request: ClientRequest) -> list[Document]:
    """Return what defines the request's host and applies to the client, whatever its ports are."""
    return [
        each
        for each in definitions(configuration, request.host)
        if not why_not_applied(each, [request.host], configuration, request)
    ]


def why_unknown(configuration: Configuration, request: ClientRequest) -> str:
    """Return why the client's proxy does not know the host on that port, as a main clause; empty where it should."""
    found = definitions(configuration, request.host)
    if not found:
        return _undefined(configuration, request.host)
    reasons = [why_not_applied(each, [request.host], configuration, request) for each in found]
    if all(reasons):
        return reasons[0]
    known = [each for each, reason in zip(found, reasons, strict=True) if not reason]
    if not any(request.port in ports_of(each) for each in known):
        ports = ", ".join(str(port) for each in known for port in ports_of(each))
        return f"{full_name(known[0])} defines {request.host} for port {ports}, not for {request.port}"
    return ""


def _undefined(configuration: Configuration, host: str) -> str:
    """Return that nothing defines a host, where everything that could was read."""
    suffix = configuration.mesh.service_suffix
    if host.endswith(suffix):
        name, _, namespace = host.removesuffix(suffix).partition(".")
        return "" if "Service" in configuration.unread else f"there is no Service {name} in {namespace}"
    if "ServiceEntry" in configuration.unread:
        return ""
    similar = next(_written_otherwise(configuration, host), "")
    where = " among its hosts or addresses" if is_address(host) else ""
    return f"no ServiceEntry lists {host}{where}{f', but {similar}' if similar else ''}"


def _written_otherwise(configuration: Configuration, host: str) -> Iterator[str]:
    """Yield the ServiceEntries that list a host with a dot at its end."""
    for entry in configuration.entries:
        for listed in map(str, spec_of(entry).get("hosts") or []):
            if listed.lower() == f"{host.lower()}.":
                yield f"{full_name(entry)} lists {listed}, which is another name for Istio"


def is_outside(configuration: Configuration, host: str) -> bool:
    """Whether only ServiceEntries define a host, and all of them say that it is outside of the mesh."""
    found = definitions(configuration, host)
    return bool(found) and all(
        each["kind"] == "ServiceEntry" and spec_of(each).get("location") != "MESH_INTERNAL" for each in found
    )


def protocol_of(document: Document, number: int) -> str:
    """Return the protocol of a port as Istio reads it; empty where it is not declared, and detected by Envoy."""
    for port in spec_of(document).get("ports") or []:
        if number not in (port.get("number"), port.get("port")):
            continue
        if document["kind"] == "ServiceEntry":
            return str(port.get("protocol") or _by_name(str(port.get("name") or "")))
        return str(port.get("appProtocol") or _by_name(str(port.get("name") or "")))
    return ""


def _by_name(name: str) -> str:
    prefix = name.partition("-")[0].upper()
    known = {*_HTTP, *_NAME_IN_TLS, "TCP", "MONGO", "MYSQL", "REDIS", "UDP"}
    return "GRPC-WEB" if name.lower().startswith("grpc-web") else prefix if prefix in known else ""


def is_http(protocol: str) -> bool:
    """Whether Envoy routes a port with this protocol by HTTP's Host header."""
    return protocol.upper() in _HTTP or protocol.lower() in ("kubernetes.io/h2c", "http", "http2", "grpc")


def reads_no_name(protocol: str) -> bool:
    """Whether connections of this protocol carry no host name that Envoy reads: addresses and ports alone decide."""
    return bool(protocol) and not is_http(protocol) and protocol.upper() not in _NAME_IN_TLS


def names_server(protocol: str) -> bool:
    """Whether connections of this protocol are TLS, of which Envoy reads the server name."""
    return protocol.upper() in _NAME_IN_TLS


def addresses_of(document: Document) -> list[str]:
    """Return the addresses that identify a ServiceEntry's hosts: its own, else those that Istio allocated."""
    own = list(map(str, spec_of(document).get("addresses") or []))
    allocated = (document.get("status") or {}).get("addresses") or []
    return own or [str(each.get("value")) for each in allocated]


def entries_on_port(configuration: Configuration, request: ClientRequest) -> list[Document]:
    """Return the ServiceEntries that define the request's port for any host, and apply to the client."""
    return [
        entry
        for entry in configuration.entries
        if request.port in ports_of(entry)
        and not why_not_applied(entry, list(map(str, spec_of(entry).get("hosts") or [])), configuration, request)
    ]


def same_definition(documents: Iterable[Document], port: int) -> bool:
    """Whether all ServiceEntries define a port alike: protocol, targetPort, resolution and endpoints."""
    return len({repr(_definition(each, port)) for each in documents}) <= 1


def _definition(entry: Document, number: int) -> tuple[object, ...]:
    spec = spec_of(entry)
    port: Mapping[str, Any] = next((each for each in spec.get("ports") or [] if each.get("number") == number), {})
    addresses = sorted(str(endpoint.get("address")) for endpoint in spec.get("endpoints") or [])
    return port.get("protocol"), port.get("targetPort"), spec.get("resolution"), addresses
