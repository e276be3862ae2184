"""What the plain display says."""

from __future__ import annotations

import time

import pytest

from pytest_istio_egress.embedded import progress
from pytest_istio_egress.embedded.progress import Lines


def test_each_step_is_a_line_with_its_place_and_how_it_came() -> None:
    said: list[str] = []
    with Lines(said.append) as lines:
        lines.expect(2)
        for step, how in (("etcd", "cached"), ("istio", "built")):
            lines.started(step)
            lines.finished(step, how)
        lines.note("a note")
    assert said[0].startswith("[1/2] etcd: cached")
    assert said[1].startswith("[2/2] istio: built in ")
    assert said[2] == "a note"


def test_a_long_step_is_heard_of_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.01)
    said: list[str] = []
    with Lines(said.append) as lines:
        lines.expect(1)
        lines.started("istio")
        lines.moved("istio", "120 packages compiled")
        deadline = time.monotonic() + 10
        while not said and time.monotonic() < deadline:
            time.sleep(0.01)
        lines.finished("istio", "built")
    assert "[0/1] istio" in said[0]
    assert "120 packages compiled" in said[0]


@pytest.mark.parametrize(("seconds", "shown"), [(4.21, "4.2 s"), (185, "3 min 05 s")])
def test_durations(seconds: float, shown: str) -> None:
    assert progress.clock(seconds) == shown
