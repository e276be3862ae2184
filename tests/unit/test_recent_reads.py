"""What was read of the cluster is used again for a moment, but never for another state of the mesh."""

from types import SimpleNamespace

import pytest

from pytest_istio_egress.pipeline import recent_reads
from pytest_istio_egress.pipeline.recent_reads import SECONDS, RecentReads


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(recent_reads, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def test_result_is_used_for_a_moment(clock: SimpleNamespace) -> None:
    reads, counter = RecentReads(), iter(range(9))
    reads.begin("a")
    assert reads.get("dump", lambda: next(counter)) == 0
    clock.seconds += SECONDS / 2
    assert reads.get("dump", lambda: next(counter)) == 0
    assert reads.get("labels", lambda: next(counter)) == 1
    clock.seconds += SECONDS
    assert reads.get("dump", lambda: next(counter)) == 2


@pytest.mark.usefixtures("clock")
def test_result_of_another_state_of_the_mesh_is_not_used() -> None:
    reads = RecentReads()
    reads.begin("a")
    assert reads.get("dump", lambda: "before") == "before"
    reads.begin("a")
    assert reads.get("dump", lambda: "after") == "before"
    reads.begin("b")
    assert reads.get("dump", lambda: "after") == "after"


@pytest.mark.usefixtures("clock")
def test_error_is_not_kept() -> None:
    reads = RecentReads()
    reads.begin("a")
    with pytest.raises(ZeroDivisionError):
        reads.get("dump", lambda: 1 // 0)
    assert reads.get("dump", lambda: 1) == 1
