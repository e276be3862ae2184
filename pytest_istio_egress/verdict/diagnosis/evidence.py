"""The kinds of evidence that a cause may need: each is a description for docs/causes.md, and a check that it is there.

A cause is not even considered where a kind of evidence that it declares is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from pytest_istio_egress.verdict.diagnosis.failure import Failure


class Evidence(Enum):
    """One kind of evidence."""

    CURL_EXIT = "curl's exit code"
    CURL_MESSAGE = "curl's message"
    STATUS = "the status of the response"
    BODY = "the body of the response"
    RESPONSE_HEADERS = "the headers of the response"
    NO_SIDECAR_LINE = "that the sidecar logged no line"
    SIDECAR_LINE = "the sidecar's access log line"
    HOP_LINE = "the access log line of an Envoy"
    GATEWAY_LINE = "the egress gateway's access log line"
    NO_ZTUNNEL_LINE = "that ztunnel logged no line"
    ZTUNNEL_LINE = "ztunnel's access log line"
    ZTUNNEL_ERROR = "the error that ztunnel logged"
    REDIRECTION = "whether the client's pod is redirected to ztunnel"
    WAYPOINT_LINE = "the waypoint's access log line"
    WAYPOINT_PODS = "the addresses of the waypoint's pods"
    FLAGS = "the response flags that an Envoy logged"
    DETAILS = "the response code details that an Envoy logged"
    TERMINATION = "the connection termination details that an Envoy logged"
    TRANSPORT_FAILURE = "the upstream transport failure that an Envoy logged"
    CLUSTER = "the cluster that the sidecar logged"
    POD = "the containers of the client's pod"
    PROXY_HEALTH = "the health of the client's proxy"
    ANNOTATIONS = "the annotations of the client's pod"
    COUNTERS = "Envoy's counters while the request was sent again"
    REUSED = "an earlier access log line of the same upstream connection"
    REJECTION = "the update that a proxy rejected"
    SIDECAR_PATH = "the sidecar's own listener, routes and clusters for the request"
    GATEWAY_PATH = "the egress gateway's own listener, routes and clusters for the request"
    HOP_PATH = "the own listener, routes and clusters of the Envoy that logged it"
    SERVICE_ENTRIES = "the ServiceEntries and Services"
    VIRTUAL_SERVICES = "the VirtualServices"
    DESTINATION_RULES = "the DestinationRules"
    SIDECARS = "the Sidecars"
    HTTP_ROUTES = "the HTTPRoutes"
    NAMESPACES = "the labels of namespaces"
    POLICIES = "the AuthorizationPolicies"
    ENVOY_FILTERS = "the EnvoyFilters"
    MESH = "the mesh configuration"


def _read(*kinds: str) -> Callable[[Failure], bool]:
    """Whether the resources of these kinds could be read."""
    return lambda failure: not failure.configuration.unread & set(kinds)


def _hop_path(failure: Failure) -> bool:
    return any(hop.path is not None for hop in failure.hops)


PRESENT: Mapping[Evidence, Callable[[Failure], bool]] = {
    Evidence.CURL_EXIT: lambda failure: failure.curl.exit != 0,
    Evidence.CURL_MESSAGE: lambda failure: bool(failure.curl.error),
    Evidence.STATUS: lambda failure: failure.curl.status != 0,
    Evidence.BODY: lambda failure: bool(failure.curl.body),
    Evidence.RESPONSE_HEADERS: lambda failure: bool(failure.curl.headers),
    Evidence.NO_SIDECAR_LINE: lambda failure: failure.expected.sidecar and failure.line is None,
    Evidence.SIDECAR_LINE: lambda failure: failure.line is not None,
    Evidence.HOP_LINE: lambda failure: bool(failure.hops),
    Evidence.GATEWAY_LINE: lambda failure: failure.gateway_line is not None,
    Evidence.NO_ZTUNNEL_LINE: lambda failure: failure.expected.ztunnel is not None and failure.ztunnel_line is None,
    Evidence.ZTUNNEL_LINE: lambda failure: failure.ztunnel_line is not None,
    Evidence.ZTUNNEL_ERROR: lambda failure: failure.ztunnel_line is not None and bool(failure.ztunnel_line.error),
    Evidence.REDIRECTION: lambda failure: failure.context.redirected is not None,
    Evidence.WAYPOINT_LINE: lambda failure: failure.waypoint_line is not None,
    Evidence.WAYPOINT_PODS: lambda failure: bool(failure.context.waypoint_addresses),
    Evidence.FLAGS: lambda failure: any(hop.flags for hop in failure.hops),
    Evidence.DETAILS: lambda failure: any(hop.line.details != "-" for hop in failure.hops),
    Evidence.TERMINATION: lambda failure: any(hop.line.termination != "-" for hop in failure.hops),
    Evidence.TRANSPORT_FAILURE: lambda failure: any(hop.failure for hop in failure.hops),
    Evidence.CLUSTER: lambda failure: failure.line is not None and failure.line.cluster != "-",
    Evidence.POD: lambda failure: not failure.context.injected,
    Evidence.PROXY_HEALTH: lambda failure: bool(failure.context.proxy_trouble),
    Evidence.ANNOTATIONS: lambda failure: bool(failure.context.annotations),
    Evidence.COUNTERS: lambda failure: failure.context.captured is False,
    Evidence.REUSED: lambda failure: failure.context.reused,
    Evidence.REJECTION: lambda failure: bool(failure.context.rejected),
    Evidence.SIDECAR_PATH: lambda failure: failure.sidecar_path is not None,
    Evidence.GATEWAY_PATH: lambda failure: failure.gateway_path is not None,
    Evidence.HOP_PATH: _hop_path,
    Evidence.SERVICE_ENTRIES: _read("ServiceEntry", "Service"),
    Evidence.VIRTUAL_SERVICES: _read("VirtualService"),
    Evidence.DESTINATION_RULES: _read("DestinationRule"),
    Evidence.SIDECARS: _read("Sidecar"),
    Evidence.HTTP_ROUTES: _read("HTTPRoute"),
    Evidence.NAMESPACES: _read("Namespace"),
    Evidence.POLICIES: _read("AuthorizationPolicy"),
    Evidence.ENVOY_FILTERS: _read("EnvoyFilter"),
    Evidence.MESH: _read("mesh configuration"),
}
"""Whether a failure has a kind of evidence."""
