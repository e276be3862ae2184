"""A mesh is told not to hold only if nothing else explains it."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.pipeline.runner import ASKED_AGAIN, CaseRunner

CASE = Case(page="page/", summary="It is said", folder=Path(), manifests=(), requires=(), since=None, outcomes=())


class Disturbed(CaseRunner):
    """A judge without a cluster: what each round of questions shows, and what disturbed the stage meanwhile."""

    def __init__(self, seen: Sequence[bool], interference: Sequence[str | None]) -> None:
        self.seen = list(seen)
        self.interference = list(interference)
        self.fresh: list[Case] = []
        self.case_setup = cast(Any, SimpleNamespace(case=CASE))
        self._interference = cast(Any, self)

    def enter(self, case: Case) -> bool:
        self.fresh.append(case)
        self.case_setup.case = case
        return True

    def _converged(self, _: object) -> Any:
        return [SimpleNamespace(holds=self.seen.pop(0))]

    def look(self) -> str | None:
        return self.interference.pop(0)


def test_what_holds_is_not_looked_into() -> None:
    runner = Disturbed([True], [])
    assert runner.verify([])[0].passed
    assert not runner.fresh


def test_what_does_not_hold_undisturbed_is_a_verdict() -> None:
    runner = Disturbed([False], [None])
    assert not runner.verify([])[0].passed


def test_what_was_disturbed_is_asked_from_the_start() -> None:
    runner = Disturbed([False, True], ["the pod went"])
    assert runner.verify([])[0].passed
    assert runner.fresh == [CASE]


def test_asked_again_undisturbed_it_is_a_verdict() -> None:
    runner = Disturbed([False, False], ["the pod went", None])
    assert not runner.verify([])[0].passed


def test_what_is_always_disturbed_is_an_error() -> None:
    times = ASKED_AGAIN + 1
    runner = Disturbed([False] * times, ["the pod went"] * times)
    with pytest.raises(ClusterError, match="the pod went"):
        runner.verify([])


def test_in_the_middle_of_a_case_a_disturbance_is_an_error() -> None:
    runner = Disturbed([False], ["the pod went"])
    runner.case_setup.case = None
    with pytest.raises(ClusterError, match="the pod went"):
        runner.verify([])
