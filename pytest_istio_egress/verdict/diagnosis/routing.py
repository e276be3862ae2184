"""Causes that an Envoy on the way names itself: timeouts, and the flags NR, NC, UH, UF, UC, DC, FI."""

from __future__ import annotations

from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.verdict.diagnosis.rules import because, flagged, hops
from pytest_istio_egress.verdict.verdict import Exchange


def timeout_missing(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """An answer came where a timeout should have cut it off."""
    if expected.status != 504 or seen.curl.status != 200:
        return None
    rule, hidden = context.fault("timeout"), context.fault("rule")
    if rule and not hidden:
        took = f"the answer took {seen.curl.seconds:g} s"
        return f"No timeout cut it off, for it is longer than the delay: {rule}, and {took}."
    look = because(hidden, "Look for the VirtualService of the host and its timeout.")
    return f"No timeout cut it off: none is set for the host at the sidecar. {look}"


def timeout(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """An Envoy gave up waiting."""
    found = flagged(expected, seen, "UT")
    if found is None:
        return None
    whose, line = found
    rule = context.fault("timeout")
    told = f"{rule}, and the host needs longer" if rule else "look for a VirtualService's timeout, and at the host"
    return f"The {whose} gave up waiting for {line.cluster} after {line.duration / 1000:g} s (UT): {told}."


def fault_injected(expected: Outcome, seen: Exchange, _: FailureContext) -> str | None:
    """A rule told an Envoy to fail."""
    found = flagged(expected, seen, "FI")
    if found is None:
        return None
    route = f" on route {found[1].route}" if found[1].route != "-" else ""
    return f"The {found[0]} failed on purpose (FI): a VirtualService injects a fault{route}. Look at its http.fault."


def no_route(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """A listener is there, and nothing in it fits."""
    found = flagged(expected, seen, "NR")
    if found is None:
        return None
    whose, line = found
    look = because(
        context.fault("destination", "rule"),
        f"Look at the matches (host, path, port, sniHosts) of the VirtualService for {line.authority}.",
    )
    return f"The {whose} has no route for it (NR, {line.details}): its listener is there, but nothing matches. {look}"


def no_cluster(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """A route leads to a cluster that this Envoy does not have."""
    found = flagged(expected, seen, "NC")
    if found is None:
        return None
    look = because(
        context.fault("destination", "gateway", "entry"),
        f"Look for the ServiceEntry of the destination, and whether it is exported to the {found[0]}.",
    )
    return f"The {found[0]}'s route leads to a cluster that it doesn't have (NC). {look}"


def no_address(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """DNS gave no address for a cluster that is found by DNS."""
    found = flagged(expected, seen, "UH")
    if found is None or context.cluster_type not in ("STRICT_DNS", "LOGICAL_DNS", "envoy.cluster.strict_dns"):
        return None
    return (
        f"DNS has no answer for {found[1].cluster}, so that the {found[0]} has no address to send it to (UH). Look at "
        "the host or endpoints of its ServiceEntry, and ask DNS for them."
    )


def no_healthy_upstream(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """The cluster is there, and has no endpoint."""
    found = flagged(expected, seen, "UH")
    if found is None:
        return None
    look = because(
        context.fault("gateway"),
        "Look at the endpoints (or workloadSelector) of its ServiceEntry, and at outlierDetection.",
    )
    return f"The {found[0]} has no healthy upstream in {found[1].cluster} (UH). {look}"


def not_connected(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """The upstream refused the connection, or never answered."""
    found = flagged(expected, seen, "UF")
    if found is None:
        return None
    whose, line = found
    why = f": {line.failure.replace('_', ' ')}" if line.failure != "-" else ""
    look = because(context.fault("gateway"), "Look whether anything listens there, and at endpoints and targetPort.")
    return f"The {whose} could not connect to {line.upstream} (UF){why}. {look}"


def upstream_reset(expected: Outcome, seen: Exchange, _: FailureContext) -> str | None:
    """The upstream took the connection, and ended it."""
    found = flagged(expected, seen, "UC") or flagged(expected, seen, "UPE")
    if found is None:
        return None
    whose, line = found
    return (
        f"The upstream {line.upstream} ended the connection before it had answered the {whose} ({line.flags}): look "
        "whether both speak the same protocol (port names, HTTP/2, TLS)."
    )


def client_gone(expected: Outcome, seen: Exchange, _: FailureContext) -> str | None:
    """The client did not wait."""
    found = flagged(expected, seen, "DC")
    return found and f"The client went away before the {found[0]} had an answer (DC): look at curl's --max-time."


def hosts_own_answer(expected: Outcome, seen: Exchange, _: FailureContext) -> str | None:
    """What differs is what the host itself said."""
    if seen.curl.status in (0, expected.status):
        return None
    for _whose, _hop, line in hops(expected, seen):
        if line.details == "via_upstream" and line.status == seen.curl.status:
            return (
                f"The host itself answered {line.status}; every Envoy passed that on. Look at the host {line.upstream}."
            )
    return None
