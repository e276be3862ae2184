"""How long each phase of a case took: where the time of a run went."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class PhaseTimer:
    """Adds up the seconds of each phase of the case on stage: world, apply, settle, probe, witness, clean."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add what happens inside to a phase."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.monotonic() - began

    def take(self) -> Mapping[str, float]:
        """Return the seconds since the last call, by phase, and begin anew."""
        taken, self._seconds = self._seconds, {}
        return taken
