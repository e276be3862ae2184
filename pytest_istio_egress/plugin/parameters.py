"""Reads the parameters of a test: every probe beside its expected outcome, whatever the arguments are called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    return [pair for mark in marks for parameter in mark.args[1] for pair in _pairs(_values(parameter))]


def expectations_of_item(item: pytest.Item) -> list[Expectation]:
    """Return the (probe, outcome) pairs of one parameter; of a test without parameters none."""
    callspec = getattr(item, "callspec", None)
    values = tuple(callspec.params.values()) if callspec else ()
    return list(_pairs(values))


def _pairs(values: tuple[object, ...]) -> Iterator[Expectation]:
    for first, second in pairwise(values):
        if isinstance(first, Probe) and isinstance(second, Outcome):
            yield first, second.for_probe(first)


def _values(parameter: object) -> tuple[object, ...]:
    values = getattr(parameter, "values", parameter)
    return tuple(values) if isinstance(values, tuple | list) else ()
