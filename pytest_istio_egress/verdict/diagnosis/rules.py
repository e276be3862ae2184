"""What a cause is: a function that knows one reason for a failure, and returns its sentence where the evidence fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.model.outcome import Hop, Outcome
from pytest_istio_egress.verdict.verdict import Exchange

Cause = Callable[[Outcome, Exchange, FailureContext], str | None]
"""Returns None where the evidence does not fit, or where the outcome documents exactly this."""


class LoggedHop(NamedTuple):
    """An Envoy on the request's path that logged it: its name, what is expected of its line, and the line."""

    name: str
    expected: Hop
    line: AccessLogLine


def logged_hops(expected: Outcome, exchange: Exchange) -> Iterator[LoggedHop]:
    """Yield each Envoy that logged the request, the last one on the path first: it knows most."""
    if exchange.gateway is not None:
        yield LoggedHop("egress gateway", expected.gateway or Hop(), exchange.gateway)
    if exchange.sidecar is not None:
        yield LoggedHop("sidecar", expected.sidecar_hop, exchange.sidecar)


def flagged_hop(expected: Outcome, exchange: Exchange, flag: str) -> LoggedHop | None:
    """Return the Envoy that set a response flag which is not documented."""
    hops = logged_hops(expected, exchange)
    return next((hop for hop in hops if hop.line.has_flag(flag) and hop.expected.flags != flag), None)


def sentence(fault: str) -> str:
    """Return a fault of the configuration as a sentence."""
    return f"{fault[0].upper()}{fault[1:]}."


def fault_or_check(fault: str, check: str) -> str:
    """Return the fault that the configuration has, as a sentence; without one, the advice what to check."""
    return sentence(fault) if fault else check
