"""Why a proxy that knows a host does not take a request to it: the port has another protocol, or other addresses."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_istio_egress.model.addresses import is_within
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, ports_of
from pytest_istio_egress.verdict.analysis.documents import Document, full_name, spec_of
from pytest_istio_egress.verdict.analysis.hosts import (
    addresses_of,
    applied,
    entries_on_port,
    is_http,
    names_server,
    protocol_of,
    reads_no_name,
)
from pytest_istio_egress.verdict.proxy_path import ProxyPath


def why_not_taken(configuration: Configuration, request: ClientRequest, path: ProxyPath | None, address: str) -> str:
    """Return why what defines the host does not take a request to an address, as a main clause; empty without one."""
    spoken = path.request.spoken if path is not None else ""
    return (
        why_routed_by_request(configuration, request, path)
        or _unlike_client(configuration, request, spoken)
        or _unlike_other_hosts(configuration, request, path)
        or _of_other_definition(configuration, request, address)
        or _not_among_addresses(configuration, request, address)
    )


def why_routed_by_request(configuration: Configuration, request: ClientRequest, path: ProxyPath | None) -> str:
    """Return that the port of the client's own proxy is HTTP, so that the host that is asked for decides."""
    if not request.by_proxy or path is None or not path.http:
        return ""
    declared = [each for each in on_port(configuration, request) if is_http(protocol_of(each, request.port))]
    if not declared:
        return ""
    protocol = protocol_of(declared[0], request.port)
    return (
        f"{full_name(declared[0])} declares port {request.port} as {protocol}, so the sidecar routes by the host that "
        f"the client asks its proxy for ({path.request.method} {path.request.authority}), which no route has. Check "
        "the protocol of that port: the port of a proxy that clients use is declared as TCP"
    )


def on_port(configuration: Configuration, request: ClientRequest) -> list[Document]:
    """Return what defines the request's host and port, and applies to the client."""
    return [each for each in applied(configuration, request) if request.port in ports_of(each)]


def _unlike_client(configuration: Configuration, request: ClientRequest, spoken: str) -> str:
    """Return that the client speaks TLS to a port declared as HTTP, or HTTP to one declared as TLS."""
    found = on_port(configuration, request)
    if not found or not all(_unlike(protocol_of(each, request.port), spoken) for each in found):
        return ""
    protocol = protocol_of(found[0], request.port)
    return f"{full_name(found[0])} declares port {request.port} as {protocol}, and the client speaks {spoken} to it"


def _unlike(protocol: str, spoken: str) -> bool:
    return (spoken == "TLS" and is_http(protocol)) or (spoken == "HTTP" and names_server(protocol))


def _unlike_other_hosts(configuration: Configuration, request: ClientRequest, path: ProxyPath | None) -> str:
    """Return that the host's port is TCP, where HTTP of the same port is matched against the routes of other hosts."""
    if path is None or not path.http or path.request.tls:
        return ""
    for each in on_port(configuration, request):
        protocol = protocol_of(each, request.port)
        others = [
            other
            for other in entries_on_port(configuration, request)
            if other is not each and is_http(protocol_of(other, request.port))
        ]
        if reads_no_name(protocol) and others:
            return (
                f"{full_name(each)} declares port {request.port} as {protocol}, but {full_name(others[0])} declares "
                f"it as HTTP, so what looks like HTTP on {path.listener_name} is matched against the hosts of HTTP "
                "ports only"
            )
    return ""


def _of_other_definition(configuration: Configuration, request: ClientRequest, address: str) -> str:
    """Return that the client connected to the address of another ServiceEntry for the same host."""
    found = applied(configuration, request)
    connected = [each for each in found if address in addresses_of(each)]
    wanted = [each for each in on_port(configuration, request) if address not in addresses_of(each)]
    if not address or not connected or not wanted or request.port in ports_of(connected[0]):
        return ""
    return (
        f"{full_name(connected[0])} and {full_name(wanted[0])} both define {request.host}, each with an address of its "
        f"own: DNS gave the client {address}, which belongs to the former, and only the latter has port {request.port}"
    )


def _not_among_addresses(configuration: Configuration, request: ClientRequest, address: str) -> str:
    """Return that the port is not HTTP, so that the addresses of the entry decide, and the client's is none of them."""
    found = on_port(configuration, request)
    if not found or not address or not all(_elsewhere(each, request.port, address) for each in found):
        return ""
    stated = ", ".join(map(str, spec_of(found[0])["addresses"]))
    return (
        f"{full_name(found[0])} takes port {request.port} at {stated} only (its addresses), and the client connected "
        f"to {address}"
    )


def _elsewhere(document: Document, port: int, address: str) -> bool:
    """Whether the addresses of a ServiceEntry decide about a port, and an address is none of them."""
    stated = list(map(str, spec_of(document).get("addresses") or []))
    return bool(stated) and not is_http(protocol_of(document, port)) and not includes(stated, address)


def includes(addresses: Sequence[str], address: str) -> bool:
    """Whether addresses, or ranges of them, include an address; so does what cannot be read."""
    try:
        return is_within(address, addresses)
    except ValueError:
        return True
