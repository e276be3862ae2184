"""Reads the parameters of a test: every probe beside its expected outcome, whatever the arguments are called."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest

from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.model.probe import Probe
from pytest_istio_egress.verdict.verdict import Expectation


def expectations_of(request: pytest.FixtureRequest) -> list[Expectation]:
    """Return the (probe, outcome) pairs of the running test's parametrize marks."""
    return expectations_in(request.node.iter_markers("parametrize"))


def expectations_in(marks: Iterable[pytest.Mark]) -> list[Expectation]:
    """Return the (probe, outcome) pairs of parametrize marks.

    A pair is a Probe directly followed by an Outcome in one parameter set; other arguments may stand around it.
    """
    return [
        (first, second.for_probe(first))
        for mark in marks
        for parameter in mark.args[1]
        for first, second in pairwise(_values(parameter))
        if isinstance(first, Probe) and isinstance(second, Outcome)
    ]


def _values(parameter: object) -> tuple[object, ...]:
    values = getattr(parameter, "values", parameter)
    return tuple(values) if isinstance(values, tuple | list) else ()
