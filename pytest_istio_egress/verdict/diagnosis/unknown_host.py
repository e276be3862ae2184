"""Causes where the sidecar does not know the host: it blocks the request, or passes it to PassthroughCluster."""

from __future__ import annotations

from pytest_istio_egress.model.cluster_name import ClusterName
from pytest_istio_egress.verdict.analysis.documents import Document, full_name, spec_of
from pytest_istio_egress.verdict.analysis.hosts import (
    protocol_of,
    reads_no_name,
    why_unknown,
)
from pytest_istio_egress.verdict.analysis.mismatches import includes, on_port, why_not_taken
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure, Line
from pytest_istio_egress.verdict.diagnosis.rule import ROUTED, as_sentence, cause
from pytest_istio_egress.verdict.proxy_path import ProxyPath
from pytest_istio_egress.verdict.proxy_path.listeners import ANY_ADDRESS, CATCH_ALL
from pytest_istio_egress.verdict.proxy_path.path import ANY_HOST_CLUSTERS

_RESOURCES = (Evidence.SERVICE_ENTRIES, Evidence.SIDECARS, Evidence.MESH)
_NEEDS = (Evidence.SIDECAR_LINE, *_RESOURCES)
_CHECK = "Check `istioctl proxy-config` of the client for the host, and the ServiceEntry's hosts, ports and exportTo."


def _known_as_outbound(failure: Failure) -> bool:
    """Whether the proxy has a cluster for the host and port which shows that it knows the host.

    A VirtualService brings the clusters of its destinations along, also those of hosts that are not in scope.
    """
    path, request, configuration = failure.sidecar_path, failure.request, failure.configuration
    if path is None or f"outbound|{request.port}||{request.host}" not in path.dump.clusters:
        return False
    return not any(
        configuration.full_host(rule, str(each.get("host"))) == request.host
        for rule in configuration.rules
        for each in configuration.destinations_of(rule)
    )


def reason(failure: Failure) -> str:
    """Return why the sidecar does not take the request to the host, as a main clause; empty where it is not known."""
    if not _known_as_outbound(failure) and (why := why_unknown(failure.configuration, failure.request)):
        return why
    return why_not_taken(failure.configuration, failure.request, failure.sidecar_path, failure.curl.remote_address)


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
    known = f"The sidecar dropped the connection (BlackHoleCluster): {_lacks(line, failure.sidecar_path)}."
    return _with_reason(known, failure)


def _lacks(line: Line, path: ProxyPath | None) -> str:
    """Return what of the sidecar's configuration is missing for a connection, as a main clause."""
    named = f" for server name {line.server_name}" if line.server_name != "-" else ""
    if path is not None and path.listener_name not in ("", CATCH_ALL):
        return f"its listener {path.listener_name} has no filter chain{named or ' for what the client speaks'}"
    chain = f", and no filter chain{named}" if named else ""
    return f"it has no listener for {line.downstream_local}{chain}"


@cause("PassthroughCluster instead of the host's cluster", explains=ROUTED, needs=(Evidence.CLUSTER, *_RESOURCES))
def passthrough(failure: Failure) -> str | None:
    """A cluster for any host took the request, which was to reach a host that the registry knows."""
    line = failure.line
    if line is None or line.cluster not in ANY_HOST_CLUSTERS or failure.expects_block or failure.expected.blocked:
        return None
    if failure.expected.cluster == line.cluster:
        return None
    known = f"The sidecar sent the request to {line.cluster} because it does not know the host on that port."
    return _with_reason(known, failure)


@cause(
    "another entry takes the port",
    explains=ROUTED,
    needs=(Evidence.CLUSTER, Evidence.SIDECAR_PATH, Evidence.SERVICE_ENTRIES),
)
def port_taken(failure: Failure) -> str | None:
    """A TCP entry takes connections for another host: it has no address, or one that covers the client's."""
    line, path, request = failure.line, failure.sidecar_path, failure.request
    name = ClusterName.parse(line.cluster) if line else None
    if path is None or name is None or path.http or name.host == request.host or name.port != request.port:
        return None
    if line is not None and line.cluster == failure.expected.cluster:
        return None  # the test documents it
    taker = next(
        (
            entry
            for entry in failure.configuration.entries_of(name.host)
            if reads_no_name(protocol_of(entry, request.port)) and _takes(entry, path, failure.curl.remote_address)
        ),
        None,
    )
    if taker is None or path.rule is not None:
        return None
    own = on_port(failure.configuration, request)
    other = f", although {full_name(own[0])} defines {request.host} on the same port" if own else ""
    addresses = ", ".join(map(str, spec_of(taker).get("addresses") or []))
    where = f"for {addresses}" if addresses else "without an address"
    taken = f"to {addresses}" if addresses else "to the port"
    return (
        f"The sidecar sent the connection to {line.cluster if line else ''}{other}: {full_name(taker)} declares port "
        f"{request.port} as {protocol_of(taker, request.port)} {where}, so it takes every connection {taken}. Check "
        "that each TCP entry of a port has addresses of its own, or use DNS capture."
    )


def _takes(entry: Document, path: ProxyPath, address: str) -> bool:
    """Whether an entry's listener takes connections to an address: that of all addresses, or of one of its own."""
    addresses = list(map(str, spec_of(entry).get("addresses") or []))
    if not addresses:
        return path.listener_name.rpartition("_")[0] in ANY_ADDRESS
    return includes(addresses, address)
