"""What a cause is: a rule that knows one reason, and says its sentence where the evidence bears it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.model.outcome import Hop, Outcome
from pytest_istio_egress.verdict.verdict import Exchange

Cause = Callable[[Outcome, Exchange, FailureContext], str | None]
"""Returns None where the evidence does not bear the reason out, or the reason is what is documented."""


def hops(expected: Outcome, seen: Exchange) -> Iterator[tuple[str, Hop, AccessLogLine]]:
    """Yield name, expectation and line of each Envoy on the way, the last one first: it knows most."""
    if seen.gateway is not None:
        yield "gateway", expected.gateway or Hop(), seen.gateway
    if seen.sidecar is not None:
        yield "sidecar", expected.sidecar_hop, seen.sidecar


def flagged(expected: Outcome, seen: Exchange, flag: str) -> tuple[str, AccessLogLine] | None:
    """Return the Envoy that set a flag which is not documented, and its line."""
    for whose, hop, line in hops(expected, seen):
        if flag in line.flags.split(",") and hop.flags != flag:
            return whose, line
    return None


def because(fault: str, otherwise: str) -> str:
    """Return what the configuration itself tells, as a sentence; where it tells nothing, what to look at."""
    return f"{fault[0].upper()}{fault[1:]}." if fault else otherwise
