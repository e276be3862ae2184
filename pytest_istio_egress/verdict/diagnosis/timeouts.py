"""Causes in timeouts: too short, too long, missing, or of a single attempt."""

from __future__ import annotations

from dataclasses import replace

from pytest_istio_egress.verdict.analysis.documents import Document, full_name, spec_of
from pytest_istio_egress.verdict.analysis.gateway_api import unattached
from pytest_istio_egress.verdict.analysis.virtual_services import (
    hosts_of,
    http_routes,
    lost_delegates,
    other_rules,
)
from pytest_istio_egress.verdict.analysis.visibility import why_not_applied
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.extensions import patches_with
from pytest_istio_egress.verdict.diagnosis.failure import Failure, LoggedHop
from pytest_istio_egress.verdict.diagnosis.rule import DURATION, OUTCOME, ROUTED, as_sentence, cause
from pytest_istio_egress.verdict.duration import too_early, too_late
from pytest_istio_egress.verdict.failure_context import GATEWAY
from pytest_istio_egress.verdict.proxy_path import ProxyPath
from pytest_istio_egress.verdict.proxy_path.dump import seconds_of
from pytest_istio_egress.verdict.proxy_path.listeners import tcp_idle_timeout

_TIMED_OUT = 504
_TIMED = {"UT": "timeout", "DI": "fault delay"}
"""The rules that take a time, by the response flag that Envoy sets for them."""


def _route_timeout(hop: LoggedHop) -> str:
    """Return the timeout of the proxy's own route (`1s`), empty where it has none."""
    action = ((hop.path.route if hop.path else None) or {}).get("route") or {}
    timeout = str(action.get("timeout") or "")
    return "" if timeout in ("0s", "0") else timeout


def _per_try(hop: LoggedHop) -> str:
    action = ((hop.path.route if hop.path else None) or {}).get("route") or {}
    return str((action.get("retry_policy") or {}).get("per_try_timeout") or "")


def _rule(hop: LoggedHop) -> str:
    return str(hop.path.rule) if hop.path and hop.path.rule else "the route"


@cause("perTryTimeout is too short (UT)", explains=OUTCOME | DURATION, needs=(Evidence.FLAGS, Evidence.DETAILS))
def per_try(failure: Failure) -> str | None:
    """Each attempt ended after perTryTimeout."""
    hop = next((hop for hop in failure.hops if "per_try_timeout" in hop.line.details), None)
    if hop is None or hop.expected.details == hop.line.details or "UT" not in hop.flags:
        return None
    seconds, limit = hop.line.duration / 1000, _per_try(hop)
    stated = f": {_rule(hop)} sets perTryTimeout {limit}, which also limits the first attempt" if limit else ""
    return (
        f"The {hop.name} ended an attempt to {hop.line.cluster} before the host answered, after {seconds:g} s in all "
        f"(UT, {hop.line.details}){stated}. Check retries.perTryTimeout of the VirtualService."
    )


@cause("a timeout is too short (UT)", explains=OUTCOME | DURATION, needs=(Evidence.FLAGS,))
def too_short(failure: Failure) -> str | None:
    """An Envoy stopped waiting for the upstream."""
    hop = failure.flagged("UT")
    if hop is None or "per_try_timeout" in hop.line.details:
        return None
    timeout = _route_timeout(hop)
    stated = f" {as_sentence(f'{_rule(hop)} sets a timeout of {timeout}')}" if timeout else ""
    return (
        f"The {hop.name} timed out waiting for {hop.line.cluster} after {hop.line.duration / 1000:g} s (UT).{stated} "
        "Check that timeout, and how long the host takes."
    )


@cause(
    "an idle timeout ends a connection of TCP",
    explains=ROUTED | DURATION,
    needs=(Evidence.SIDECAR_LINE, Evidence.SIDECAR_PATH, Evidence.CURL_EXIT),
)
def idle_connection(failure: Failure) -> str | None:
    """The connection ended without an error after the idle timeout of the sidecar's TCP proxy."""
    line, path = failure.line, failure.sidecar_path
    limit = tcp_idle_timeout(path.chain) if path is not None else ""
    wanted = seconds_of(limit)
    if line is None or path is None or path.http or wanted is None or line.flags != "-" or line.upstream == "-":
        return None
    seconds = line.duration / 1000
    of_time = not too_early(wanted, failure.exchange) and not too_late(wanted, failure.exchange)
    if failure.curl.exit not in _CLOSED or not of_time:
        return None
    rule = f" ({path.destination_rule})" if path.destination_rule else ""
    return (
        f"The sidecar closed the connection to {line.upstream} ({line.cluster}) after {seconds:g} s: its idle timeout "
        f"for TCP is {limit}{rule}, and neither side sent anything for that long. Check connectionPool.tcp.idleTimeout."
    )


_CLOSED = frozenset({52, 56})
"""curl's exit codes where the connection was closed without an answer."""


@cause("another time than the documented one", explains=DURATION, needs=(Evidence.HOP_LINE,))
def other_time(failure: Failure) -> str | None:
    """The documented timeout or delay applied, and took longer than it is documented to take."""
    hop = next((each for each in failure.hops if each.name != GATEWAY), None)
    documented = failure.expected.seconds
    if hop is None or documented is None or hop.line.flags != hop.expected.flags or hop.line.flags not in _TIMED:
        return None
    if not too_late(documented, failure.exchange):
        return None
    kind, timeout = _TIMED[hop.line.flags], _route_timeout(hop) if hop.line.flags == "UT" else ""
    stated = f" {as_sentence(f'{_rule(hop)} sets a timeout of {timeout}')}" if timeout else ""
    if hop.line.flags == "DI" and (patch := next(patches_with(failure, hop, "fault"), None)):
        stated += f" {full_name(patch.document)} adds another fault filter on the request's path."
    return (
        f"The {hop.name}'s {kind} ended after {failure.exchange.seconds:g} s ({hop.line.flags}), and the documented "
        f"time is {documented:g} s.{stated} Check {kind} of the VirtualService or HTTPRoute."
    )


@cause(
    "a timeout is too long",
    explains=OUTCOME | DURATION,
    needs=(Evidence.HOP_LINE, Evidence.HOP_PATH, Evidence.DETAILS),
)
def too_long(failure: Failure) -> str | None:
    """The route has a timeout, and the answer came before it."""
    hop = _answered_in_time(failure)
    if hop is None or not (timeout := _route_timeout(hop)):
        return None
    return (
        f"The timeout is longer than the delay: {_rule(hop)} sets a timeout of {timeout}, and the answer took "
        f"{failure.curl.seconds:g} s. Check that timeout."
    )


def _answered_in_time(failure: Failure) -> LoggedHop | None:
    """Return the sidecar or the waypoint that was to time out, and passed on the host's answer."""
    if failure.expected.status != _TIMED_OUT or not failure.answered:
        return None
    return next((hop for hop in failure.hops if hop.name != GATEWAY and hop.line.details == "via_upstream"), None)


@cause(
    "a timeout is missing",
    explains=OUTCOME | DURATION,
    needs=(
        Evidence.HOP_LINE, Evidence.HOP_PATH, Evidence.DETAILS, Evidence.VIRTUAL_SERVICES, Evidence.SIDECARS,
        Evidence.MESH,
    ),
)  # fmt: skip
def missing(failure: Failure) -> str | None:
    """The route has no timeout."""
    hop = _answered_in_time(failure)
    if hop is None or hop.path is None or hop.path.route is None or _route_timeout(hop):
        return None
    why = _why_missing(failure, hop.path)
    known = f"No timeout ended the request: none is set on the {hop.name}'s route for the host."
    return (
        f"{known} {as_sentence(why)} Check that resource." if why else f"{known} Check the VirtualService of the host."
    )


def _why_missing(failure: Failure, path: ProxyPath) -> str:
    configuration, request = failure.configuration, failure.request
    for rule, why in other_rules(configuration, request, path.rule):
        if any(route.get("timeout") for _, route in http_routes(configuration, rule)):
            return why
    for rule in configuration.rules_of(request.host):
        if lost := next(lost_delegates(configuration, rule), ""):
            return lost
        states = any(route.get("timeout") for _, route in http_routes(configuration, rule))
        if states and (why := why_not_applied(rule, hosts_of(configuration, rule), configuration, request)):
            return why
    limited = [route for route in configuration.routes if _states_timeout(route)]
    return next(unattached(replace(configuration, routes=limited), request.host), "")


def _states_timeout(route: Document) -> bool:
    return any(each.get("timeouts") for each in spec_of(route).get("rules") or [])
