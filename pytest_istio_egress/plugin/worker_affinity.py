"""Prefers to give a module to a worker that already has the fixtures its tests need.

Each copy of a per-worker fixture is one more proxy, which takes seconds to start and receives every change that any
worker makes. And a client without a Sidecar loads the clusters and listeners of the whole mesh, each time such a test
follows one with a Sidecar.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Set
from contextlib import suppress
from pathlib import Path

from pytest_istio_egress.model.case import AMBIENT_FIXTURE, Case
from pytest_istio_egress.plugin.collection import scope_of
from pytest_istio_egress.suite.discovery import CaseImportError, shipped_cases, suite_folder

WHOLE_MESH = "the whole mesh"
"""What a test needs whose client no Sidecar limits."""
# Approximate seconds on a quiet cluster: only the worker that gets a module depends on them.
SECONDS: Mapping[str, float] = {
    AMBIENT_FIXTURE: 8.0,
    "gateway.yaml": 5.0,
    "neighbour_client.yaml": 5.0,
    WHOLE_MESH: 0.5,
}
"""How long a worker takes to get what a module needs."""
PER_WORKER = frozenset(SECONDS) - {WHOLE_MESH}
"""Files of fixtures/ that each worker applies for itself; the others are applied once per run."""


def needs_by_module() -> dict[str, Set[str]]:
    """Return the costly needs of the shipped tests, by the scope that stays on one worker."""
    needs: defaultdict[str, Set[str]] = defaultdict(frozenset)
    with suppress(CaseImportError):  # an error of collection
        for shipped in shipped_cases(suite_folder()):
            if shipped.case:
                needs[scope_of(shipped.id)] |= _needs(shipped.case)
    return needs


def _needs(case: Case) -> Set[str]:
    limited = any(map(_limits, case.manifests))
    return PER_WORKER.intersection(case.fixtures) | (frozenset() if limited else {WHOLE_MESH})


def _limits(manifest: Path) -> bool:
    # By the text alone: results do not depend on the worker, so a wrong guess costs a second at most.
    with suppress(OSError):  # an unreadable manifest is an error of its test
        text = manifest.read_bytes()
        return b"kind: Sidecar" in text and b'"*/*"' not in text
    return False


class WorkerAffinity:
    """Tracks what each worker has. `needs` is by module; other modules need nothing of the kind."""

    def __init__(self, needs: Mapping[str, Set[str]]) -> None:
        self._needs = needs
        self._has: defaultdict[Hashable, Set[str]] = defaultdict(frozenset)

    def best(self, worker: Hashable, modules: Iterable[str]) -> str:
        """Return the module that costs this worker least, compared with the worker that it would cost least.

        So a worker begins with what only it has, and the rest suits every worker; of several modules, it is the first.
        """
        others = [has for other, has in self._has.items() if other != worker] or [frozenset[str]()]

        def compared(module: str) -> float:
            needed = self._needed(module)
            return _seconds(needed - self._has[worker]) - min(_seconds(needed - has) for has in others)

        return min(modules, key=compared)

    def assign(self, worker: Hashable, module: str) -> None:
        """Note that a worker was given a module."""
        self._has[worker] |= self._needed(module)

    def remove(self, worker: Hashable) -> None:
        """Remove a worker that ended, and what it had."""
        self._has.pop(worker, None)

    def _needed(self, module: str) -> Set[str]:
        return self._needs.get(module, frozenset())


def _seconds(needs: Set[str]) -> float:
    return sum(SECONDS[need] for need in needs)
