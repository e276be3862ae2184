"""The estimate of what is left to build, and how it is shown."""

from __future__ import annotations

import time

import pytest

from pytest_istio_egress.embedded import progress
from pytest_istio_egress.embedded.estimate import Estimate, minutes
from pytest_istio_egress.embedded.progress import Lines
from pytest_istio_egress.embedded.versions import versions
from pytest_istio_egress.embedded.workshop import compiled_share, step_of


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_the_recorded_seconds_are_left_at_first() -> None:
    assert Estimate({"etcd": 30, "istio": 270}).text == "about 5 min left"


def test_nothing_is_left_where_nothing_is_built() -> None:
    assert Estimate({}).text == ""
    done = Estimate({"etcd": 30})
    done.finished("etcd")
    assert done.text == ""


def test_the_pace_so_far_goes_on() -> None:
    clock = Clock()
    estimate = Estimate({"etcd": 30, "istio": 270}, clock)
    clock.seconds = 60
    estimate.finished("etcd")
    assert 270 < estimate.seconds_left < 540, "this machine may be half as fast as the recorded one"
    clock.seconds = 330
    estimate.moved("istio", 0.5)
    assert 240 < estimate.seconds_left < 270, "half of it took 270 seconds"


def test_a_pace_is_not_known_at_once() -> None:
    clock = Clock()
    estimate = Estimate({"istio": 300}, clock)
    clock.seconds = 1
    estimate.moved("istio", 0.03)
    assert 200 < estimate.seconds_left < 300


@pytest.mark.parametrize(("seconds", "shown"), [(5, "1 min"), (100, "2 min"), (600, "10 min")])
def test_an_estimate_is_in_minutes(seconds: float, shown: str) -> None:
    assert minutes(seconds) == shown


def test_every_component_has_recorded_figures() -> None:
    assert set(versions().recorded) == set(versions().components)


def test_packages_are_a_share_of_the_recorded_ones() -> None:
    packages = versions().recorded["istio"].packages
    assert compiled_share("istio", packages // 2)[0] == f"{packages // 2} of about {packages} packages compiled"
    assert compiled_share("istio", packages // 2)[1] == pytest.approx(0.5, abs=0.01)
    assert compiled_share("istio", packages + 1) == (f"{packages + 1} packages compiled", 0.99)
    assert compiled_share("other", 3)[0] == "3 packages compiled"


def test_a_first_build_says_so_and_how_long_it_takes() -> None:
    said: list[str] = []
    with Lines(said.append) as lines:
        lines.builds({})
        assert said == []
        lines.builds({"istio": 300})
    assert "for the first time only" in said[0]
    assert "about 5 min by figures recorded on two cores" in said[0]


def test_a_line_that_moves_takes_the_place_of_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "TICK", 0.01)
    monkeypatch.setattr(progress, "EVERY", 0.01)
    said: list[str] = []
    shown: list[str] = []
    step = step_of(versions().components["istio"])
    with Lines(said.append, shown.append) as lines:
        lines.expect(1)
        lines.builds({step: 300})
        lines.started("root file system")
        lines.started(step)
        lines.moved(step, "120 packages compiled", 0.5)
        deadline = time.monotonic() + 10
        while not shown and time.monotonic() < deadline:
            time.sleep(0.01)
        lines.finished(step, "built")
    assert shown[-1].startswith(f"[0/1] {step}: "), "what takes long, and not what started first"
    assert shown[-1].endswith("120 packages compiled, about 1 min left"), "half of it took no time"
    assert len(said) == 2, "the announcement and the end of the step"
