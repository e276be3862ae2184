"""Measures how long each phase of a test takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class PhaseTimer:
    """Adds up the seconds of each phase: environment, apply, pods, sync, probe, log lines, delete."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of the block to a phase."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.monotonic() - began

    def take(self) -> Mapping[str, float]:
        """Return the seconds since the last call, by phase."""
        taken, self._seconds = self._seconds, {}
        return taken
