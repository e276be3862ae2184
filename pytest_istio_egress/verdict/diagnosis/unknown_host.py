"""Causes where the sidecar does not know the host: it blocks the request, or passes it to PassthroughCluster."""

from __future__ import annotations

from pytest_istio_egress.verdict.analysis.configuration import ports_of
from pytest_istio_egress.verdict.analysis.documents import full_name, spec_of
from pytest_istio_egress.verdict.analysis.hosts import (
    addresses_of,
    applied,
    entries_on_port,
    is_http,
    protocol_of,
    reads_no_name,
    why_unknown,
)
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.diagnosis.rule import ROUTED, as_sentence, cause
from pytest_istio_egress.verdict.proxy_path.listeners import ANY_ADDRESS

_RESOURCES = (Evidence.SERVICE_ENTRIES, Evidence.SIDECARS, Evidence.MESH)
_NEEDS = (Evidence.SIDECAR_LINE, *_RESOURCES)
_CHECK = "Check `istioctl proxy-config` of the client for the host, and the ServiceEntry's hosts, ports and exportTo."


def _known_as_outbound(failure: Failure) -> bool:
    """Whether the proxy does have a cluster for the host and port, so that it knows the host."""
    path, request = failure.sidecar_path, failure.request
    return path is not None and f"outbound|{request.port}||{request.host}" in path.dump.clusters


def reason(failure: Failure) -> str:
    """Return why the sidecar does not take the request to the host, as a main clause; empty where it is not known."""
    if not _known_as_outbound(failure) and (why := why_unknown(failure.configuration, failure.request)):
        return why
    return _other_protocol(failure) or _other_address(failure)


def _other_protocol(failure: Failure) -> str:
    """Return that the host's port is TCP, where HTTP of the same port is matched against the routes of other hosts."""
    path, request = failure.sidecar_path, failure.request
    if path is None or not path.http or path.request.tls:
        return ""
    for each in applied(failure.configuration, request):
        protocol = protocol_of(each, request.port)
        if reads_no_name(protocol) and request.port in ports_of(each):
            others = [
                other
                for other in entries_on_port(failure.configuration, request)
                if other is not each and is_http(protocol_of(other, request.port))
            ]
            if others:
                return (
                    f"{full_name(each)} declares port {request.port} as {protocol}, but {full_name(others[0])} "
                    "declares "
                    f"it as HTTP, so what looks like HTTP on {path.listener_name} is matched against the hosts of HTTP "
                    "ports only"
                )
    return ""


def _other_address(failure: Failure) -> str:
    """Return that the client connected to the address of another ServiceEntry for the same host."""
    request, address = failure.request, failure.curl.remote_address
    found = applied(failure.configuration, request)
    connected = [each for each in found if address in addresses_of(each)]
    wanted = [each for each in found if request.port in ports_of(each) and address not in addresses_of(each)]
    if not address or not connected or not wanted or request.port in ports_of(connected[0]):
        return ""
    return (
        f"{full_name(connected[0])} and {full_name(wanted[0])} both define {request.host}, each with an address of its "
        f"own: DNS gave the client {address}, which belongs to the former, and only the latter has port {request.port}"
    )


def _with_reason(known: str, failure: Failure) -> str:
    """Return a sentence on an unknown host, with the resource that explains it where there is one."""
    why = reason(failure)
    return f"{known} {as_sentence(why)} Check that resource." if why else f"{known} {_CHECK}"


@cause("blocked by route block_all", explains=ROUTED, needs=_NEEDS)
def block_all(failure: Failure) -> str | None:
    """The sidecar has HTTP routes for the port, and none for the host."""
    line = failure.line
    if line is None or line.route != "block_all" or line.details != "direct_response" or failure.expects_block:
        return None
    known = "The sidecar answered 502 (route block_all): it has HTTP routes for that port, but none for the host."
    return _with_reason(known, failure)


@cause("blocked by BlackHoleCluster", explains=ROUTED, needs=_NEEDS)
def black_hole(failure: Failure) -> str | None:
    """The sidecar has no listener for the address and port."""
    line = failure.line
    if line is None or line.cluster != "BlackHoleCluster" or failure.expects_block:
        return None
    chain = f", and no filter chain for server name {line.server_name}" if line.server_name != "-" else ""
    known = (
        f"The sidecar dropped the connection (BlackHoleCluster): it has no listener for {line.downstream_local}{chain}."
    )
    return _with_reason(known, failure)


@cause("PassthroughCluster instead of the host's cluster", explains=ROUTED, needs=(Evidence.CLUSTER, *_RESOURCES))
def passthrough(failure: Failure) -> str | None:
    """PassthroughCluster took the request, which was to reach a host that the registry knows."""
    line = failure.line
    if line is None or line.cluster != "PassthroughCluster" or failure.expects_block or failure.expected.blocked:
        return None
    if failure.expected.cluster == "PassthroughCluster":
        return None
    known = "The sidecar sent the request to PassthroughCluster because it does not know the host on that port."
    return _with_reason(known, failure)


@cause(
    "another entry takes the port",
    explains=ROUTED,
    needs=(Evidence.CLUSTER, Evidence.SIDECAR_PATH, Evidence.SERVICE_ENTRIES),
)
def port_taken(failure: Failure) -> str | None:
    """A TCP entry without an address takes every connection to its port, also those for another host."""
    line, path, request = failure.line, failure.sidecar_path, failure.request
    parts = line.cluster.split("|") if line else []
    if path is None or len(parts) != 4 or path.http or parts[3] == request.host or parts[1] != str(request.port):
        return None
    taker = next(
        (
            entry
            for entry in failure.configuration.entries_of(parts[3])
            if reads_no_name(protocol_of(entry, request.port)) and not spec_of(entry).get("addresses")
        ),
        None,
    )
    if taker is None or path.rule is not None or path.listener_name.rpartition("_")[0] not in ANY_ADDRESS:
        return None
    own = [each for each in applied(failure.configuration, request) if request.port in ports_of(each)]
    other = f", although {full_name(own[0])} defines {request.host} on the same port" if own else ""
    return (
        f"The sidecar sent the connection to {line.cluster if line else ''}{other}: {full_name(taker)} declares port "
        f"{request.port} as {protocol_of(taker, request.port)} without an address, so it takes every connection to the "
        "port. Check that each TCP entry of a port has addresses of its own, or use DNS capture."
    )
