"""Probes and their outcomes are found in a test's parameters, whatever the arguments are called."""

from typing import Any

import pytest

from pytest_istio_egress import Outcome, Probe, blocked_http, get, reached
from pytest_istio_egress.plugin.parameters import expectations_in, expectations_of

LISTED, UNLISTED = get("http://listed.test/"), get("http://unlisted.test/")
PAIRS = [(LISTED, reached().for_probe(LISTED)), (UNLISTED, blocked_http())]


def mark(names: Any, parameters: list[Any]) -> pytest.Mark:
    return pytest.mark.parametrize(names, parameters).mark


@pytest.mark.parametrize("names", ["probe, expected", ("request", "answer"), ["url", "outcome"]])
def test_pairs_do_not_depend_on_names_of_arguments(names: str | tuple[str, ...]) -> None:
    assert expectations_in([mark(names, [(LISTED, reached()), (UNLISTED, blocked_http())])]) == PAIRS


@pytest.mark.parametrize(
    "wrap",
    [
        lambda probe, outcome: (probe, outcome),
        lambda probe, outcome: [probe, outcome],
        lambda probe, outcome: pytest.param(probe, outcome, id="x"),
        lambda probe, outcome: ("before", probe, outcome),
        lambda probe, outcome: (probe, outcome, "metric", {"label": "x"}),
        lambda probe, outcome: pytest.param(1, probe, outcome, None),
    ],
    ids=["tuple", "list", "param", "argument-before", "arguments-after", "arguments-around"],
)
def test_pairs_are_found_among_other_arguments(wrap: Any) -> None:
    assert expectations_in([mark("names", [wrap(LISTED, reached()), wrap(UNLISTED, blocked_http())])]) == PAIRS


def test_two_pairs_of_one_parameter_are_both_found() -> None:
    assert expectations_in([mark("names", [(LISTED, reached(), UNLISTED, blocked_http())])]) == PAIRS


def test_pairs_of_several_marks_are_found() -> None:
    marks = [mark("number", [1, 2]), mark("a, b", [(LISTED, reached())]), mark("c, d", [(UNLISTED, blocked_http())])]
    assert expectations_in(marks) == PAIRS


@pytest.mark.parametrize(
    "parameter",
    [LISTED, (LISTED,), (LISTED, 1, reached()), (reached(), LISTED), "text", None, (1, 2)],
    ids=["probe", "probe-alone", "apart", "reversed", "text", "none", "numbers"],
)
def test_other_parameters_are_no_pairs(parameter: Any) -> None:
    assert expectations_in([mark("names", [parameter])]) == []


def test_running_test_finds_its_own_pairs(request: pytest.FixtureRequest) -> None:
    assert expectations_of(request) == []


@pytest.mark.parametrize(("request_", "answer", "number"), [(LISTED, reached(), 1), (UNLISTED, blocked_http(), 2)])
def test_running_test_finds_pairs_of_all_its_parameters(
    request: pytest.FixtureRequest, request_: Probe, answer: Outcome, number: int
) -> None:
    assert expectations_of(request) == PAIRS
    assert (request_, answer.for_probe(request_)) == PAIRS[number - 1]
