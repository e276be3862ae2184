"""Which worker asks a module whose cases need what few do: one that has it already.

Each copy of a fixture of a worker's own is a proxy more, which takes seconds to start and gets every change that any
worker makes. And a client that no Sidecar limits takes the clusters and listeners of everybody in the mesh, each time
that such a case follows one that has a Sidecar.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Set
from contextlib import suppress
from pathlib import Path

from pytest_istio_egress.model.case import Case
from pytest_istio_egress.plugin.collection import scope_of
from pytest_istio_egress.suite.discovery import CaseImportError, shipped_cases, suite_folder

OF_A_WORKER = frozenset({"gateway.yaml", "neighbour_client.yaml"})
"""Fixtures that each worker makes for itself; the others are made once per run."""
WHOLE_MESH = "the whole mesh"
"""What a case needs whose client no Sidecar limits."""


def needs_by_module() -> dict[str, Set[str]]:
    """Return what the shipped modules' cases need that few do, by what they share a worker with."""
    found: defaultdict[str, Set[str]] = defaultdict(frozenset)
    with suppress(CaseImportError):  # told where it is collected
        for shipped in shipped_cases(suite_folder()):
            if shipped.case:
                found[scope_of(shipped.id)] |= _needs(shipped.case)
    return found


def _needs(case: Case) -> Set[str]:
    limited = any(map(_limits, case.manifests))
    return OF_A_WORKER.intersection(case.fixtures) | (frozenset() if limited else {WHOLE_MESH})


def _limits(manifest: Path) -> bool:
    # By the letter: who asks a case changes nothing of what is seen, so a wrong guess costs a second at most.
    with suppress(OSError):  # one that can't be read is told when its case is asked
        text = manifest.read_bytes()
        return b"kind: Sidecar" in text and b'"*/*"' not in text
    return False


class WorkerAffinity:
    """Knows which worker came to what. `needs` has it by module; what is not in it needs nothing of the kind."""

    def __init__(self, needs: Mapping[str, Set[str]]) -> None:
        self._needs = needs
        self._has: defaultdict[Hashable, Set[str]] = defaultdict(frozenset)

    def best(self, worker: Hashable, modules: Iterable[str]) -> str:
        """Return the module that costs least here: the worker has to come to as little as possible that others have.

        Where several do, it is the one that would cost the others most, so that what is left in the end suits
        everybody; and then the first.
        """
        has, others = self._has[worker], self._others(worker)

        def cost(module: str) -> tuple[int, int]:
            needed = self._needed(module)
            return len((needed & others) - has), -len(needed & has)

        return min(modules, key=cost)

    def taken(self, worker: Hashable, module: str) -> None:
        """Note that a worker was given a module."""
        self._has[worker] |= self._needed(module)

    def gone(self, worker: Hashable) -> None:
        """Forget a worker that ended, and what it had."""
        self._has.pop(worker, None)

    def _needed(self, module: str) -> Set[str]:
        return self._needs.get(module, frozenset())

    def _others(self, worker: Hashable) -> Set[str]:
        return frozenset().union(*(has for other, has in self._has.items() if other != worker))
