"""A condition is evaluated until its result is true, or the time is over."""

import pytest

from pytest_istio_egress.cluster.poll import poll


def test_poll_returns_the_first_true_result() -> None:
    results = iter(["", "", "ready", "later"])
    assert poll(lambda: next(results), every=0.0, timeout=5) == "ready"
    assert next(results) == "later"


def test_poll_after_the_timeout_returns_the_last_false_result() -> None:
    calls: list[None] = []

    def condition() -> list[str]:
        calls.append(None)
        return []

    assert poll(condition, every=0.001, timeout=0.0) == []
    assert len(calls) == 1


def test_poll_passes_exceptions_on() -> None:
    def condition() -> bool:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        poll(condition, every=0.0, timeout=5)
