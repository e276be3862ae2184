"""Causes that an Envoy on the path reports itself: timeouts, and the response flags NR, NC, UH, UF, UC, DC, FI."""

from __future__ import annotations

from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.verdict.diagnosis.rules import fault_or_check, flagged_hop, logged_hops
from pytest_istio_egress.verdict.duration import too_late
from pytest_istio_egress.verdict.verdict import Exchange

TIMED = {"UT": "timeout", "DI": "fault delay"}
"""The rules that take a time, by the response flag that Envoy sets for them."""


def timeout_missing(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """An answer came where a timeout should have ended the request."""
    if expected.status != 504 or exchange.curl.status != 200:
        return None
    timeout_rule, hidden_rule = context.fault("timeout"), context.fault("rule")
    if timeout_rule and not hidden_rule:
        return (
            f"The timeout is longer than the delay: {timeout_rule}, and the answer took {exchange.curl.seconds:g} s. "
            "Check the VirtualService's timeout."
        )
    advice = fault_or_check(hidden_rule, "Check the VirtualService of the host and its timeout.")
    return f"No timeout ended the request: none is set for the host at the sidecar. {advice}"


def timeout(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """An Envoy stopped waiting for the upstream."""
    hop = flagged_hop(expected, exchange, "UT")
    if hop is None:
        return None
    rule = context.fault("timeout")
    advice = fault_or_check(
        rule and f"{rule}, and the host needs longer", "Check the VirtualService's timeout, and the host."
    )
    duration = "" if hop.line.duration is None else f" after {hop.line.duration / 1000:g} s"
    upstream = hop.line.cluster or "the upstream"
    return f"The {hop.name} timed out waiting for {upstream}{duration} (UT). {advice}"


def other_time(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """The documented timeout or delay applied, and took longer than it is documented to take."""
    line = exchange.sidecar
    if expected.seconds is None or line is None or line.flags != expected.flags or line.flags not in TIMED:
        return None
    if not too_late(expected.seconds, exchange):
        return None
    rule = context.fault("timeout") if line.flags == "UT" else ""
    advice = fault_or_check(rule, f"Check {TIMED[line.flags]} of the VirtualService or HTTPRoute.")
    return (
        f"The sidecar's {TIMED[line.flags]} ended after {exchange.seconds:g} s ({line.flags}), and the documented time "
        f"is {expected.seconds:g} s. {advice}"
    )


def rewritten(expected: Outcome, exchange: Exchange, _: FailureContext) -> str | None:
    """The request arrived with another Host header, which an Envoy on the path wrote: its line has it, too."""
    received = exchange.server_saw("host")
    if received in (None, exchange.sent_authority) or expected.server_saw.get("host") != exchange.probe.authority:
        return None
    hop = next((hop for hop in reversed(list(logged_hops(expected, exchange))) if hop.line.authority == received), None)
    if hop is None:
        return None
    return (
        f"The {hop.name} changed the Host header to {received}. Check rewrite.authority and the headers of the "
        f"VirtualService that applies there (route {hop.line.route})."
    )


def fault_injected(expected: Outcome, exchange: Exchange, _: FailureContext) -> str | None:
    """A rule made an Envoy fail the request."""
    hop = flagged_hop(expected, exchange, "FI")
    if hop is None:
        return None
    route = f" on route {hop.line.route}" if hop.line.route not in ("-", None) else ""
    return f"The {hop.name} injected a fault (FI){route}. Check http.fault of the VirtualService."


def no_route(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """A listener exists, and nothing in it matches."""
    hop = flagged_hop(expected, exchange, "NR")
    if hop is None:
        return None
    advice = fault_or_check(
        context.fault("destination", "rule"),
        f"Check the match conditions (host, path, port, sniHosts) of the VirtualService "
        f"for {hop.line.authority or 'the host'}.",
    )
    details = f", {hop.line.details}" if hop.line.details else ""
    return (
        f"The {hop.name} has no route for the request (NR{details}): it has a listener, but nothing in it "
        f"matches. {advice}"
    )


def no_cluster(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """A route leads to a cluster that this Envoy does not have."""
    hop = flagged_hop(expected, exchange, "NC")
    if hop is None:
        return None
    advice = fault_or_check(
        context.fault("destination", "gateway", "entry"),
        f"Check that the destination has a ServiceEntry that is exported to the {hop.name}.",
    )
    return f"The {hop.name}'s route leads to a cluster that it does not have (NC). {advice}"


def no_address(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """DNS returned no address for a cluster whose endpoints are resolved by DNS."""
    hop = flagged_hop(expected, exchange, "UH")
    if hop is None or context.cluster_type not in ("STRICT_DNS", "LOGICAL_DNS", "envoy.cluster.strict_dns"):
        return None
    return (
        f"DNS returned no address for {hop.line.cluster}, so the {hop.name} has no endpoint for the request (UH). "
        "Check the host or endpoints of the ServiceEntry, and whether DNS resolves them."
    )


def no_healthy_upstream(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """The cluster exists, and has no endpoint."""
    hop = flagged_hop(expected, exchange, "UH")
    if hop is None:
        return None
    advice = fault_or_check(
        context.fault("gateway"),
        "Check the endpoints (or workloadSelector) of the ServiceEntry, and outlierDetection.",
    )
    return f"The {hop.name} has no healthy upstream in {hop.line.cluster or 'the cluster'} (UH). {advice}"


def not_connected(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """The upstream refused the connection, or never answered."""
    hop = flagged_hop(expected, exchange, "UF")
    if hop is None:
        return None
    failure = f": {hop.line.failure.replace('_', ' ')}" if hop.line.failure not in ("-", None) else ""
    advice = fault_or_check(
        context.fault("gateway"),
        "Check that the upstream listens there, and the endpoints and targetPort of the ServiceEntry.",
    )
    return f"The {hop.name} could not connect to {hop.line.upstream or 'the upstream'} (UF){failure}. {advice}"


def upstream_reset(expected: Outcome, exchange: Exchange, _: FailureContext) -> str | None:
    """The upstream accepted the connection, and ended it."""
    hop = flagged_hop(expected, exchange, "UC") or flagged_hop(expected, exchange, "UPE")
    if hop is None:
        return None
    return (
        f"The upstream {hop.line.upstream or 'host'} ended the connection before it answered the {hop.name} "
        f"({hop.line.flags}). "
        "Check that both use the same protocol (port names, HTTP/2, TLS)."
    )


def client_disconnected(expected: Outcome, exchange: Exchange, _: FailureContext) -> str | None:
    """The client did not wait for the answer."""
    hop = flagged_hop(expected, exchange, "DC")
    if hop is None:
        return None
    return f"The client disconnected before the {hop.name} had an answer (DC). Check curl's --max-time."


def answer_of_host(expected: Outcome, exchange: Exchange, _: FailureContext) -> str | None:
    """The host itself sent the status that differs."""
    if exchange.curl.status in (0, expected.status):
        return None
    for _name, _hop, line in logged_hops(expected, exchange):
        if line.details == "via_upstream" and line.status == exchange.curl.status:
            return (
                f"The host itself answered {line.status}; every Envoy passed that answer on. Check that host"
                f"{f' ({line.upstream})' if line.upstream else ''}."
            )
    return None
