"""Lets one xdist worker at a time send probes from a user's own workload: side by side they may disturb each other.

A circuit breaker counts the requests of the workload's proxy, whichever worker sends them. So a worker locks a file
while it probes from that workload, and the others wait for it; workers that probe from other workloads do not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import filelock


class WorkloadTurns:
    """The locks of one run, in a folder that all of its workers have."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is None where one process runs all tests: there is nobody to wait for."""
        self._folder = folder

    @contextmanager
    def of(self, workloads: Iterable[str]) -> Iterator[None]:
        """Hold the locks of some workloads, always in the same order: no two workers wait for each other."""
        with ExitStack() as held:
            for workload in sorted(set(workloads)) if self._folder is not None else ():
                held.enter_context(filelock.FileLock(self._file(workload)))
            yield

    def _file(self, workload: str) -> str:
        return f"{self._folder}/{hashlib.sha256(workload.encode()).hexdigest()[:16]}.lock"
