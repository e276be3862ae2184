"""Results of reading the cluster, each used again for a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Result = TypeVar("Result")
SECONDS = 2.0
"""How long a result is used: the parameters of a test fail together, and ask for the same."""


class RecentReads:
    """The results, by the state of the mesh and by the question; those of an earlier state are never used."""

    def __init__(self) -> None:
        self._state: Hashable = None
        self._results: dict[Hashable, tuple[float, Any]] = {}

    def begin(self, state: Hashable) -> None:
        """Forget all results unless the mesh is in the same state as at the last call."""
        if state != self._state:
            self._results.clear()
            self._state = state

    def get(self, question: Hashable, read: Callable[[], Result]) -> Result:
        """Return the result of `read`, or a recent one; an error that it raises is not kept."""
        recent = self._results.get(question)
        if recent is None or recent[0] < time.monotonic() - SECONDS:
            recent = self._results[question] = time.monotonic(), read()
        result: Result = recent[1]
        return result
