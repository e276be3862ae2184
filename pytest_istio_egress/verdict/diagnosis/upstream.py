"""Causes between an Envoy and the upstream: no cluster, no endpoint, not connected, reset, or its own limits."""

from __future__ import annotations

from dataclasses import replace

from pytest_istio_egress.model.cluster_name import host_of, port_of
from pytest_istio_egress.verdict.analysis.configuration import Configuration, at_gateway
from pytest_istio_egress.verdict.analysis.destinations import applied_rules, why_no_cluster
from pytest_istio_egress.verdict.analysis.documents import full_name, spec_of
from pytest_istio_egress.verdict.analysis.hosts import definitions, protocol_of
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure, LoggedHop
from pytest_istio_egress.verdict.diagnosis.rule import DURATION, OUTCOME, as_sentence, cause, joined
from pytest_istio_egress.verdict.failure_context import SIDECAR
from pytest_istio_egress.verdict.proxy_path import ProxyPath
from pytest_istio_egress.verdict.proxy_path.dump import seconds_of
from pytest_istio_egress.verdict.proxy_path.upstream import cluster_type, limits, sends_proxy_protocol, uses_http2

_DNS = frozenset(
    {"STRICT_DNS", "LOGICAL_DNS", "envoy.cluster.strict_dns", "envoy.cluster.logical_dns", "envoy.clusters.dns"}
)
_EJECTED = "failed_outlier_check"


def _by(path: ProxyPath | None) -> str:
    """Return the DestinationRule that the path's cluster is made with, as an apposition; empty without one."""
    return f" ({path.destination_rule})" if path and path.destination_rule else ""


@cause(
    "a route to a cluster that the proxy does not have (NC)",
    explains=OUTCOME,
    needs=(Evidence.FLAGS, Evidence.HOP_PATH, Evidence.SERVICE_ENTRIES, Evidence.DESTINATION_RULES, Evidence.MESH),
)
def no_cluster(failure: Failure) -> str | None:
    """A route leads to a cluster that this Envoy does not have."""
    hop = failure.flagged("NC")
    path = hop.path if hop else None
    if hop is None or path is None or not path.cluster_name or path.cluster is not None:
        return None
    rule = f", by {path.rule}," if path.rule else ""
    known = f"The {hop.name}'s route leads{rule} to {path.cluster_name}, a cluster that it does not have (NC)."
    if path.cluster_name in path.dump.warming_clusters:
        return (
            f"{known} The cluster waits for a Secret, or for DNS. Check `istioctl proxy-config secret` "
            f"of the {hop.name}."
        )
    workload = failure.workload(hop.name)
    client, configuration = failure.request, failure.configuration
    if hop.name != SIDECAR and workload is not None:
        client = replace(client, namespace=workload.namespace, labels=workload.labels)
        configuration = at_gateway(configuration)
    why = why_no_cluster(configuration, path.cluster_name, client)
    return joined(
        known,
        as_sentence(why) if why else "",
        f"Check that the destination, its port and its subset exist for the {hop.name}.",
    )


@cause(
    "outlier detection ejected the endpoints (UH)",
    explains=OUTCOME,
    needs=(Evidence.FLAGS, Evidence.HOP_PATH),
)
def ejected(failure: Failure) -> str | None:
    """The cluster has endpoints, and Envoy ejected every one because of its answers."""
    hop = failure.flagged("UH")
    path = hop.path if hop else None
    if hop is None or path is None or not path.endpoints:
        return None
    if not all(_EJECTED in endpoint.unhealthy for endpoint in path.endpoints):
        return None
    addresses = ", ".join(endpoint.address for endpoint in path.endpoints)
    return (
        f"The {hop.name} has no healthy upstream in {hop.line.cluster} (UH): outlier detection{_by(path)} "
        "ejected every "
        f"endpoint ({addresses}) because of earlier errors. Check outlierDetection, above all maxEjectionPercent and "
        "baseEjectionTime."
    )


@cause("no DNS answer at the proxy (UH)", explains=OUTCOME, needs=(Evidence.FLAGS, Evidence.HOP_PATH))
def no_address(failure: Failure) -> str | None:
    """DNS returned no address for a cluster whose endpoints are resolved by DNS."""
    hop = failure.flagged("UH", "DF")
    path = hop.path if hop else None
    if hop is None or path is None or path.endpoints or cluster_type(path.cluster) not in _DNS:
        return None
    return (
        f"DNS returned no address for {hop.line.cluster}, so the {hop.name} has no endpoint for the request (UH). "
        "Check the host or endpoints of the ServiceEntry, and whether DNS resolves them."
    )


@cause("no endpoint (UH)", explains=OUTCOME, needs=(Evidence.FLAGS, Evidence.HOP_PATH))
def no_endpoint(failure: Failure) -> str | None:
    """The cluster exists, and has no endpoint, or none that is healthy."""
    hop = failure.flagged("UH")
    path = hop.path if hop else None
    if hop is None or path is None or path.cluster is None or hop.line.cluster in ("BlackHoleCluster", "-"):
        return None
    if any(not endpoint.unhealthy for endpoint in path.endpoints):
        return None
    state = (
        "it has no endpoint" if not path.endpoints else f"its endpoints are unhealthy ({path.endpoints[0].unhealthy})"
    )
    return (
        f"The {hop.name} has no healthy upstream in {hop.line.cluster} (UH): {state}. Check the endpoints or "
        "workloadSelector of the ServiceEntry, or the pods of the Service."
    )


@cause("the upstream is not reached (UF)", explains=OUTCOME, needs=(Evidence.FLAGS,))
def not_connected(failure: Failure) -> str | None:
    """The upstream refused the connection, or never answered."""
    hop = failure.flagged("UF")
    if hop is None or ("TLS" in hop.failure.upper() and _CLOSED_BY_ENVOY not in hop.failure):
        return None
    timeout = _connect_timeout(hop)
    waited = timeout is not None and hop.line.duration >= 990 * timeout  # Envoy's timers are coarse
    if _CLOSED_BY_ENVOY in hop.failure and not waited:
        return None
    failed = f": nothing answered within {timeout:g} s" if waited else f": {hop.failure}" if hop.failure else ""
    is_silent = waited or "timeout" in hop.failure
    silent = ", and that no firewall or NetworkPolicy drops the connection" if is_silent else ""
    return (
        f"The {hop.name} could not connect to {hop.line.upstream} for {hop.line.cluster} (UF){failed}. Check that the "
        f"upstream listens there, and the endpoints and targetPort of the ServiceEntry{silent}."
    )


_CLOSED_BY_ENVOY = "CONNECTION REJECTED"
"""What BoringSSL reports of a connection that Envoy itself closed before a handshake, such as after its timeout."""


def _connect_timeout(hop: LoggedHop) -> float | None:
    """Return the seconds in which the hop's cluster must connect; None where they are not known."""
    cluster = hop.path.cluster if hop.path else None
    return seconds_of((cluster or {}).get("connect_timeout"))


@cause(
    "the upstream does not answer connections (DC)",
    explains=OUTCOME | DURATION,
    needs=(Evidence.FLAGS, Evidence.CURL_EXIT),
)
def no_answer_to_connections(failure: Failure) -> str | None:
    """An attempt to connect ended without a connection, and the client did not wait for the next ones."""
    hop = failure.flagged("DC")
    if hop is None or failure.curl.exit != _TIMED_OUT or hop.line.upstream == "-" or hop.line.connected is not False:
        return None
    return (
        f"The {hop.name} could not connect to {hop.line.upstream} for {hop.line.cluster}: nothing answered, until the "
        f"client ended the request after {failure.curl.seconds:g} s (DC). Check that the upstream listens there, that "
        "no firewall or NetworkPolicy drops the connection, and the endpoints of the ServiceEntry."
    )


_TIMED_OUT = 28
"""curl's exit code where it did not wait for an answer any more."""


@cause(
    "the PROXY protocol to a host that does not expect it",
    explains=OUTCOME,
    needs=(Evidence.HOP_PATH, Evidence.DETAILS),
)
def proxy_protocol(failure: Failure) -> str | None:
    """The last Envoy's cluster begins with the PROXY protocol, and the host does not read the first bytes as HTTP."""
    hop, curl = failure.hops[0], failure.curl
    rejected = hop.line.details == "via_upstream" and curl.status == _BAD_REQUEST and _NOT_HTTP in curl.body
    if hop.path is None or not sends_proxy_protocol(hop.path.cluster) or failure.expected.status == _BAD_REQUEST:
        return None
    if not rejected and not hop.flags & {"UC", "UPE"}:
        return None
    return (
        f"The {hop.name} begins its connections to {hop.line.upstream} ({hop.line.cluster}) with the PROXY protocol"
        f"{_by(hop.path)}, and the host rejected the first bytes ({hop.line.status}, {hop.line.details}). Check "
        "trafficPolicy.proxyProtocol, and whether the host expects it."
    )


_BAD_REQUEST, _NOT_HTTP = 400, "400 Bad Request"
"""The answer of web servers (Go, nginx, Apache) to what is not HTTP; an application's own 400 has another body."""


@cause(
    "HTTP/2 to a host of HTTP/1.1",
    explains=OUTCOME,
    needs=(Evidence.FLAGS, Evidence.HOP_PATH),
)
def http2_not_spoken(failure: Failure) -> str | None:
    """The cluster speaks HTTP/2, and the upstream ended the connection with a protocol error or at once."""
    hop = failure.flagged("UPE", "UC")
    path = hop.path if hop else None
    if hop is None or path is None or not uses_http2(path.cluster):
        return None
    if "UPE" not in hop.flags and hop.line.duration > 1000:
        return None
    return joined(
        f"The {hop.name} speaks HTTP/2 to {hop.line.upstream} ({hop.line.cluster}), which ended the connection "
        f"({hop.line.flags}, {hop.line.details}).",
        as_sentence(why) if (why := _why_http2(failure, hop)) else "",
        "Check whether the host speaks HTTP/2 on that port.",
    )


def _why_http2(failure: Failure, hop: LoggedHop) -> str:
    """Return the resource that makes a cluster speak HTTP/2, where it is not the port's protocol; else empty."""
    host = host_of(hop.line.cluster)
    workload = failure.workload(hop.name)
    if workload is None or failure.configuration.unread & {"DestinationRule"}:
        return ""
    for rule in applied_rules(failure.configuration, host, workload.namespace):
        policy = spec_of(rule).get("trafficPolicy") or {}
        for settings in [policy, *(policy.get("portLevelSettings") or [])]:
            if ((settings.get("connectionPool") or {}).get("http") or {}).get("h2UpgradePolicy") == "UPGRADE":
                return f"{full_name(rule)} sets h2UpgradePolicy UPGRADE"
    if failure.configuration.mesh.raw.get("h2UpgradePolicy") == "UPGRADE":
        return "h2UpgradePolicy of the mesh configuration is UPGRADE"
    return _declared_as_http2(failure.configuration, hop.line.cluster)


def _declared_as_http2(configuration: Configuration, cluster: str) -> str:
    """Return what declares the port of a cluster as a protocol over HTTP/2; else empty."""
    port = port_of(cluster)
    for each in definitions(configuration, host_of(cluster)):
        protocol = protocol_of(each, port)
        if protocol.upper() in _OVER_HTTP2:
            return f"{full_name(each)} declares port {port} as {protocol}"
    return ""


_OVER_HTTP2 = frozenset({"HTTP2", "GRPC", "GRPC-WEB", "KUBERNETES.IO/H2C"})


@cause(
    "the host closed a connection that was used again (UC)",
    explains=OUTCOME,
    needs=(Evidence.FLAGS, Evidence.REUSED),
)
def reused_connection(failure: Failure) -> str | None:
    """Envoy logged an earlier request on the same upstream connection."""
    hop = failure.flagged("UC")
    if hop is None:
        return None
    return (
        f"The host {hop.line.upstream} closed the connection on which the {hop.name} had sent an earlier request, when "
        f"it sent this one (UC, {hop.line.details}): the connection was kept open for longer than the host does. Check "
        "connectionPool.http.idleTimeout and maxRequestsPerConnection of the DestinationRule, and retryOn "
        "reset-before-request."
    )


@cause("the upstream ended the connection (UC)", explains=OUTCOME, needs=(Evidence.FLAGS,))
def upstream_reset(failure: Failure) -> str | None:
    """The upstream accepted the connection, and ended it."""
    hop = failure.flagged("UC", "UPE")
    if hop is None:
        return None
    return (
        f"The upstream {hop.line.upstream} ended the connection before it answered the {hop.name} ({hop.line.flags}, "
        f"{hop.line.details}). Check the host, and whether both use the same protocol (port names, HTTP/2, TLS, the "
        "PROXY protocol)."
    )


@cause("the circuit breaker overflows (UO)", explains=OUTCOME, needs=(Evidence.FLAGS,))
def overflow(failure: Failure) -> str | None:
    """A limit of the cluster was reached."""
    hop = failure.flagged("UO")
    if hop is None:
        return None
    found = limits(hop.path.cluster) if hop.path else {}
    listed = ", ".join(f"{name} {value}" for name, value in found.items())
    stated = f": its limits are {listed}{_by(hop.path)}" if listed else ""
    return (
        f"The circuit breaker of {hop.line.cluster} at the {hop.name} rejected the request (UO){stated}, and more "
        "requests than that were open at once. Check connectionPool of the DestinationRule."
    )
