"""For every cause of ambient meshes a failure in which it is true: the smallest evidence that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from failures import CURL, HOST, LINE, configuration, resource

from pytest_istio_egress import AMBIENT, Hop, Outcome, Tunnel, ended_by_waypoint, get, reached_by_ztunnel
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.model.probe import CurlResult
from pytest_istio_egress.model.ztunnel_log import ZtunnelLine
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, Workload
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.failure_context import FailureContext
from pytest_istio_egress.verdict.verdict import Exchange

WAYPOINT_POD = "10.1.0.5"
ZTUNNEL = ZtunnelLine(raw="...", source="10.1.0.1:2", destination="192.0.2.80:80", service=HOST)
TUNNELLED = replace(
    ZTUNNEL, destination=f"{WAYPOINT_POD}:15008", target="240.240.0.1:80", workload="waypoint-1", identity="spiffe://x"
)
_CLIENT = ClientRequest(namespace="client", labels={"app": "sleep"}, host=HOST, port=80)
_AT = Hop(at="waypoint.client")
_THROUGH = Outcome(status=200, sidecar=False, ztunnel=Tunnel(service=HOST, hbone=True), waypoint=_AT)
_DENIED = ended_by_waypoint(status=403, waypoint=replace(_AT, details="rbac_access_denied_matched_policy[none]"))
_NO_TUNNEL = Difference("ztunnel", "tunnel (HBONE)", "yes", "no")
_TUNNEL = Difference("ztunnel", "tunnel (HBONE)", "no", "yes")
_NO_LINE = Difference("ztunnel", "access log", "a line for this connection", "none")
_NO_WAYPOINT_LINE = Difference("waypoint", "access log", "a line for this request", "none")
_ERROR = Difference("ztunnel", "error", "none", "x")
_STATUS = Difference("client", "HTTP status", "403", "200")
_USED = {"istio.io/use-waypoint": "waypoint"}
_AMBIENT_NAMESPACE = {"istio.io/dataplane-mode": "ambient"}
_PASSED_ON = replace(LINE, cluster="inbound-vip|80|http|partner.test")
_UNANSWERED = replace(CURL, status=0, exit=56, error="Recv failure: Connection reset by peer")


def _entry(labels: Mapping[str, str] | None = None, conditions: Any = (), **spec: Any) -> dict[str, Any]:
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    document = resource("ServiceEntry", "partner", **{"hosts": [HOST], "ports": ports, **spec})
    document["metadata"]["labels"] = labels or {}
    return {**document, "status": {"conditions": list(conditions), "addresses": [{"value": "240.240.0.1"}]}}


def _resources(entry: dict[str, Any], labels: Mapping[str, str] = _USED, **kinds: Any) -> Configuration:
    return configuration(**{"entries": [entry], "namespaces": {"client": {**_AMBIENT_NAMESPACE, **labels}}, **kinds})


def _policy(status: Any = (), **spec: Any) -> dict[str, Any]:
    return {**resource("AuthorizationPolicy", "only-get", **spec), "status": {"conditions": list(status)}}


def _condition(name: str, reason: str, message: str) -> dict[str, str]:
    return {"type": name, "status": "False", "reason": reason, "message": message}


def _failure(
    *differences: Difference,
    expected: Outcome = _THROUGH,
    ztunnel: ZtunnelLine | None = ZTUNNEL,
    waypoint: Any = None,
    curl: CurlResult = CURL,
    resources: Configuration | None = None,
    request: ClientRequest = _CLIENT,
    redirected: bool = True,
) -> Failure:
    exchange = Exchange(
        probe=get(f"http://{HOST}/", client=AMBIENT, to=None), command=(), kubectl_command="", began=0.0, curl=curl,
        sidecar=None, gateway=None, ztunnel=ztunnel, waypoint=waypoint,
        addresses={"waypoint": frozenset({WAYPOINT_POD})},
    )  # fmt: skip
    known = FailureContext(
        injected=False, redirected=redirected, request=request, configuration=resources or _resources(_entry()),
        waypoint=Workload(namespace="client", labels={"app": "waypoint"}),
        waypoint_addresses=frozenset({WAYPOINT_POD}),
    )  # fmt: skip
    return Failure(expected.for_probe(exchange.probe), exchange, differences, known)


def _let_through(**kinds: Any) -> Failure:
    """Return a failure in which the waypoint passed on what it was to deny."""
    return _failure(
        _STATUS, expected=_DENIED, ztunnel=TUNNELLED, waypoint=_PASSED_ON, resources=_resources(_entry(), **kinds)
    )


_TARGET = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "partner"}
_NOT_BOUND = _condition("istio.io/WaypointBound", "WaypointIsNotReady", 'waypoint "client/missing" is not ready')
_IGNORED = _condition("WaypointAccepted", "AncestorNotBound", "ServiceEntry client/partner is not bound to a waypoint")
_ROUTE = {
    **resource("HTTPRoute", "partner", parentRefs=[{**_TARGET, "name": "nowhere"}],
               rules=[{"backendRefs": [{"kind": "Hostname", "name": HOST}]}]),
    "status": {"parents": [{"conditions": [_condition("Accepted", "NoMatchingParent", "nowhere not found")]}]},
}  # fmt: skip

AMBIENT_SAMPLES: Mapping[str, Failure] = {
    "the pod is opted out of ambient mode": _failure(
        _NO_LINE,
        ztunnel=None,
        redirected=False,
        request=replace(_CLIENT, labels={"app": "sleep", "istio.io/dataplane-mode": "none"}),
    ),
    "the namespace is not in ambient mode": _failure(
        _NO_LINE,
        ztunnel=None,
        redirected=False,
        resources=configuration(entries=[_entry()], namespaces={"client": {}}),
    ),
    "the pod is not redirected to ztunnel": _failure(_NO_LINE, ztunnel=None, redirected=False),
    "no DNS answer at an ambient client": _failure(
        _NO_LINE,
        ztunnel=None,
        curl=replace(_UNANSWERED, exit=6),
        resources=configuration(entries=[]),
    ),
    "no entry has the address": _failure(
        Difference("ztunnel", "destination service", HOST, "none"), ztunnel=replace(ZTUNNEL, service="")
    ),
    "the waypoint of the entry is not bound": _failure(
        _NO_TUNNEL, resources=_resources(_entry({"istio.io/use-waypoint": "missing"}, [_NOT_BOUND]))
    ),
    "the entry is labelled to have no waypoint": _failure(
        _NO_TUNNEL, resources=_resources(_entry({"istio.io/use-waypoint": "none"}))
    ),
    "no label gives the entry a waypoint": _failure(_NO_TUNNEL, resources=_resources(_entry(), {})),
    "the entry has a waypoint": _failure(_TUNNEL, expected=reached_by_ztunnel(service=HOST), ztunnel=TUNNELLED),
    "another waypoint took the connection": _failure(
        _NO_WAYPOINT_LINE, ztunnel=replace(TUNNELLED, destination="10.1.0.6:15008", workload="second-1")
    ),
    "the tunnel to the waypoint failed": _failure(
        _ERROR, ztunnel=replace(TUNNELLED, error="connection timed out"), curl=_UNANSWERED
    ),
    "ztunnel could not connect": _failure(
        _ERROR,
        expected=reached_by_ztunnel(service=HOST),
        ztunnel=replace(ZTUNNEL, error="io error: No route to host (os error 113)"),
        curl=_UNANSWERED,
    ),
    "the target of a policy has no waypoint": _failure(
        _STATUS, expected=_DENIED, resources=_resources(_entry(), policies=[_policy([_IGNORED], targetRefs=[_TARGET])])
    ),
    "a policy at the wrong layer": _let_through(policies=[_policy(selector={"matchLabels": {"app": "sleep"}})]),
    "no policy has the entry as its target": _let_through(policies=[]),
    "an HTTPRoute is not attached to the entry": _failure(
        Difference("client", "HTTP status", "504", "200"),
        expected=ended_by_waypoint(status=504, waypoint=replace(_AT, flags="UT")),
        ztunnel=TUNNELLED,
        waypoint=_PASSED_ON,
        resources=_resources(_entry(), routes=[_ROUTE]),
    ),
}
