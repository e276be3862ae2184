"""Which worker asks a module whose cases need fixtures of a worker's own: one that has them already.

Each copy of such a fixture is a proxy more, which takes seconds to start and gets every change that any worker makes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Set
from contextlib import suppress

from pytest_istio_egress.collection import scope_of
from pytest_istio_egress.suite import CaseImportError, shipped_cases, suite_folder

OF_A_WORKER = frozenset({"gateway.yaml", "neighbour_client.yaml"})
"""Fixtures that each worker makes for itself; the others are made once per run."""
COPIES = 2
"""Workers that may come to a fixture before the rest leave the modules that need it to them."""


def fixtures_by_module() -> dict[str, Set[str]]:
    """Return what the shipped modules' cases need of a worker's own, by what they share a worker with."""
    found: defaultdict[str, Set[str]] = defaultdict(frozenset)
    with suppress(CaseImportError):  # told where it is collected
        for shipped in shipped_cases(suite_folder()):
            if shipped.case:
                found[scope_of(shipped.id)] |= OF_A_WORKER.intersection(shipped.case.fixtures)
    return found


class FixtureSharing:
    """Knows which worker came to which fixtures. `needs` has them by module; what is not in it needs none."""

    def __init__(self, needs: Mapping[str, Set[str]]) -> None:
        self._needs = needs
        self._has: defaultdict[Hashable, Set[str]] = defaultdict(frozenset)

    def best(self, worker: Hashable, modules: Iterable[str]) -> str:
        """Return the first of the modules for which the worker has to make least that enough others have."""
        return min(modules, key=lambda module: len(self._needed(module) & self._spread() - self._has[worker]))

    def taken(self, worker: Hashable, module: str) -> None:
        """Note that a worker was given a module."""
        self._has[worker] |= self._needed(module)

    def gone(self, worker: Hashable) -> None:
        """Forget a worker that ended, and its fixtures with it."""
        self._has.pop(worker, None)

    def _needed(self, module: str) -> Set[str]:
        return self._needs.get(module, frozenset())

    def _spread(self) -> Set[str]:
        copies = [fixture for has in self._has.values() for fixture in has]
        return {fixture for fixture in copies if copies.count(fixture) >= COPIES}
