"""A mesh is told not to hold only if nothing else explains it."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress.case import Case
from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.judge import ASKED_AGAIN, Judge

CASE = Case(at="page/", says="It is said", folder=Path(), manifests=(), requires=(), since=None, rows=())


class Disturbed(Judge):
    """A judge without a cluster: what each round of questions shows, and what disturbed the stage meanwhile."""

    def __init__(self, seen: Sequence[bool], disturbances: Sequence[str | None]) -> None:
        self.seen = list(seen)
        self.disturbances = list(disturbances)
        self.fresh: list[Case] = []
        self.staging = cast(Any, SimpleNamespace(case=CASE))
        self._disturbances = cast(Any, self)

    def enter(self, case: Case) -> bool:
        self.fresh.append(case)
        self.staging.case = case
        return True

    def _converged(self, _: object) -> Any:
        return [SimpleNamespace(holds=self.seen.pop(0))]

    def look(self) -> str | None:
        return self.disturbances.pop(0)


def test_what_holds_is_not_looked_into() -> None:
    judge = Disturbed([True], [])
    assert judge.examine([])[0].holds
    assert not judge.fresh


def test_what_does_not_hold_undisturbed_is_a_verdict() -> None:
    judge = Disturbed([False], [None])
    assert not judge.examine([])[0].holds


def test_what_was_disturbed_is_asked_from_the_start() -> None:
    judge = Disturbed([False, True], ["the pod went"])
    assert judge.examine([])[0].holds
    assert judge.fresh == [CASE]


def test_asked_again_undisturbed_it_is_a_verdict() -> None:
    judge = Disturbed([False, False], ["the pod went", None])
    assert not judge.examine([])[0].holds


def test_what_is_always_disturbed_is_an_error() -> None:
    times = ASKED_AGAIN + 1
    judge = Disturbed([False] * times, ["the pod went"] * times)
    with pytest.raises(ClusterError, match="the pod went"):
        judge.examine([])


def test_in_the_middle_of_a_case_a_disturbance_is_an_error() -> None:
    judge = Disturbed([False], ["the pod went"])
    judge.staging.case = None
    with pytest.raises(ClusterError, match="the pod went"):
        judge.examine([])
