"""From the evidence of one request to one sentence: why it was not as documented, and what to look at next."""

from __future__ import annotations

from collections.abc import Callable

from pytest_istio_egress.evidence import CONTROL, Exchange, Verdict
from pytest_istio_egress.outcome import Outcome

Cause = Callable[[Outcome, Exchange], str | None]


def cause(verdict: Verdict) -> str:
    """Return the first sentence of the table that fits; what is told apart stands in its order, surest first."""
    if any(difference.what == CONTROL for difference in verdict.differences):
        return "The block was seen, but the control failed too: it may be an outage. Look at the control first."
    for rule in CAUSES:
        sentence = rule(verdict.expected, verdict.exchange)
        if sentence:
            return sentence
    return "No known cause fits; the difference and Envoy's line above are all there is to go by."


def _passthrough(expected: Outcome, seen: Exchange) -> str | None:
    if seen.sidecar is None or seen.sidecar.cluster != "PassthroughCluster" or expected.cluster == "PassthroughCluster":
        return None
    return (
        "The sidecar let it out through PassthroughCluster although blocking was asked for: outbound traffic is "
        "ALLOW_ANY for this workload. Look at the Sidecar resources of its namespace and at the mesh's "
        "outboundTrafficPolicy."
    )


def _not_injected(expected: Outcome, seen: Exchange) -> str | None:
    if not expected.sidecar or seen.sidecar is not None or seen.envoy_headers:
        return None
    if seen.far_end("server") is None:
        return None
    return (
        "The request reached the outside without any Envoy: the client has no sidecar, or its traffic is not "
        "redirected to it. Look at the pod's containers and its istio-init log."
    )


def _black_hole(expected: Outcome, seen: Exchange) -> str | None:
    if seen.sidecar is None or seen.sidecar.cluster != "BlackHoleCluster" or expected.cluster == "BlackHoleCluster":
        return None
    return (
        "The sidecar dropped it in BlackHoleCluster: it has no listener for that port and address. Look for the "
        "ServiceEntry's port, its exportTo, and the hosts that the namespace's Sidecar lets in."
    )


def _block_all(expected: Outcome, seen: Exchange) -> str | None:
    if seen.sidecar is None or seen.sidecar.route != "block_all" or expected.route == "block_all":
        return None
    return (
        "The sidecar answered 502 by its route block_all: the port is known, the host is not. Look for a "
        "ServiceEntry of that host which is exported to the client's namespace."
    )


def _flag(flag: str, sentence: str) -> Cause:
    def rule(expected: Outcome, seen: Exchange) -> str | None:
        line = seen.gateway or seen.sidecar
        if line is None or flag not in line.flags.split(",") or expected.flags == flag:
            return None
        whose = "gateway" if line is seen.gateway else "sidecar"
        return sentence.format(whose=whose, upstream=line.upstream, cluster=line.cluster, failure=line.failure)

    return rule


def _gateway_bypassed(expected: Outcome, seen: Exchange) -> str | None:
    if expected.gateway is None or seen.gateway is not None or seen.far_end("server") is None:
        return None
    return (
        "The request reached the outside, but the egress gateway has no line for it: it was bypassed. Look at the "
        "VirtualService's mesh route and at who is exported to the client's namespace."
    )


def _timeout_missing(expected: Outcome, seen: Exchange) -> str | None:
    if expected.status != 504 or seen.curl.status != 200:
        return None
    return "No timeout cut it off: the VirtualService's timeout is missing at the sidecar, or longer than the delay."


CAUSES: tuple[Cause, ...] = (
    _passthrough,
    _not_injected,
    _black_hole,
    _block_all,
    _gateway_bypassed,
    _timeout_missing,
    _flag("UT", "The {whose} gave up waiting (UT): a timeout is set for {cluster}, or the upstream is too slow."),
    _flag("NR", "The {whose} has no route for it (NR): its listener is there, but no virtual host or SNI match fits."),
    _flag(
        "NC",
        "The {whose}'s route leads to a cluster that it doesn't have (NC): look for the destination's ServiceEntry.",
    ),
    _flag("UF", "The {whose} could not connect to {upstream} (UF): {failure}."),
    _flag(
        "UH",
        "The {whose} has no healthy upstream in {cluster} (UH): look at the endpoints, and at DNS for resolution DNS.",
    ),
    _flag("DC", "The client went away before the {whose} had an answer (DC)."),
)
"""The causes that are told apart, surest first."""
