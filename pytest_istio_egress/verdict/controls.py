"""The controls beside a parameter with a documented time: what they took shows how busy the node was at that moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.model.probe import Probe
from pytest_istio_egress.verdict.comparison import compare
from pytest_istio_egress.verdict.verdict import Exchange, Expectation


def shows_overhead(probe: Probe, expected: Outcome, timed: Probe) -> bool:
    """Whether an outcome can show the overhead of a timed probe: an answer to the same client, without a time."""
    return probe.client == timed.client and expected.seconds is None and not expected.blocked


def beside_controls(sent: Sequence[tuple[Outcome, Exchange]]) -> list[Exchange]:
    """Return the exchanges of one attempt, those with a documented time together with what their controls took.

    A control that is itself not as expected shows nothing.
    """
    return [
        replace(exchange, control_seconds=_control_seconds(exchange, sent))
        if expected.seconds is not None
        else exchange
        for expected, exchange in sent
    ]


def _control_seconds(timed: Exchange, sent: Sequence[tuple[Outcome, Exchange]]) -> float:
    return max(
        (
            control.curl.seconds
            for expected, control in sent
            if shows_overhead(control.probe, expected, timed.probe) and not compare(expected, control)
        ),
        default=0.0,
    )


def with_controls(again: Sequence[int], expectations: Sequence[Expectation]) -> list[int]:
    """Return the indices of the parameters to send again, then that of one control for each timed one among them."""
    controls: list[int] = []
    for timed, expected in (expectations[index] for index in again):
        if expected.seconds is not None:
            controls += [index for index, pair in enumerate(expectations) if shows_overhead(*pair, timed)][:1]
    return list(dict.fromkeys([*again, *controls]))
