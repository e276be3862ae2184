"""Estimates how long the parts that are being built will take, from recorded figures and from what is done so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

RECORDED_PACE = 30.0
"""The weight of the recorded pace beside this machine's own, in seconds: at first the own one says little."""


class Estimate:
    """`recorded` are the seconds that each step took on another machine; other steps do not count."""

    def __init__(self, recorded: Mapping[str, float], now: Callable[[], float] = time.monotonic) -> None:
        self._left = dict(recorded)
        self._total = sum(recorded.values())
        self._shares: dict[str, float] = {}
        self._now = now
        self._begun = now()

    def moved(self, step: str, share: float) -> None:
        """`share` of the step is done, from 0 to 1."""
        self._shares[step] = min(share, 1.0)

    def finished(self, step: str) -> None:
        """The step is done."""
        self._left.pop(step, None)

    def counts(self, step: str) -> bool:
        """Return whether the step is one of those that take long, and is not done."""
        return step in self._left

    @property
    def seconds_left(self) -> float:
        """Return how many seconds are left; 0 where nothing is built."""
        left = sum(seconds * (1 - self._shares.get(step, 0.0)) for step, seconds in self._left.items())
        done = self._total - left
        return left * (self._now() - self._begun + RECORDED_PACE) / (done + RECORDED_PACE)

    @property
    def text(self) -> str:
        """Return 'about 6 min left', or an empty text where nothing is built."""
        if not self._left:
            return ""
        return f"about {minutes(self.seconds_left)} left"


def minutes(seconds: float) -> str:
    """Show an estimate: in whole minutes."""
    return f"{max(round(seconds / 60), 1)} min"
