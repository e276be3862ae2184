"""Schedules modules on xdist workers: a module stays on one worker, and mesh-wide tests run last and alone.

    worker 0   | timeouts/test_http.py | dns/test_names.py |            | mesh_wide/* |
    worker 1   | sidecar_scope/test_hosts.py                   | (ended)

Imported only where xdist distributes a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from pytest_istio_egress.plugin.collection import MESH_WIDE, scope_of
from pytest_istio_egress.plugin.worker_affinity import WorkerAffinity, needs_by_module

WORKERS = 4
"""The workers of `-n auto`. Each worker has its own clients, to whose proxies a mesh pushes the changes of all others.
Four workers keep a cluster of two cores busy; six are no faster there, and slower in a large mesh
(`benchmarks/growth.py`)."""


class CaseScheduler(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """LoadScopeScheduling with one scope that runs last and alone; the others go where they cost least."""

    def __init__(
        self, config: pytest.Config, log: Producer | None, before_first: Callable[[Sequence[str]], None]
    ) -> None:
        super().__init__(config, log)
        self._before_first = before_first
        self._affinity = WorkerAffinity(needs_by_module())

    def schedule(self) -> None:
        """Hand out the first modules, once the target is prepared."""
        if self.collection is None:
            self._before_first(next(iter(self.registered_collections.values())))
        super().schedule()

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Note the end of a test; the mesh-wide tests may have waited for it."""
        super().mark_test_complete(node, item_index, duration)
        self._start_mesh_wide()

    def remove_node(self, node: WorkerController) -> str | None:
        """Remove a worker that ended or crashed; return the test in which it crashed, which is not run again.

        xdist's own scheduler would hand that test to one worker after the other until no more may be restarted.
        """
        self._affinity.remove(node)
        units: dict[str, dict[str, bool]] = self.assigned_work.pop(node)
        left = [(unit, nodeid) for unit in units.values() for nodeid, done in unit.items() if not done]
        if left:
            unit, crashed = left[0]
            unit[crashed] = True
            self.workqueue.update({scope: tests for scope, tests in units.items() if not all(tests.values())})
            for other in self.nodes:
                self._reschedule(other)
        self._start_mesh_wide()
        return left[0][1] if left else None

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if MESH_WIDE in self.workqueue:
            self.workqueue.move_to_end(MESH_WIDE)
        if not self._only_mesh_wide_left():
            module = self._affinity.best(node, (scope for scope in self.workqueue if scope != MESH_WIDE))
            self.workqueue.move_to_end(module, last=False)
            self._affinity.assign(node, module)
            self._hand_out(node)

    def _hand_out(self, node: WorkerController) -> None:
        # A worker can crash between its last report and its next work. That work is assigned to it by then, so xdist,
        # which notices the crash a moment later, reports the test it crashed in and reassigns the rest.
        with suppress(OSError):
            super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        if node not in self.registered_collections:
            return  # it replaces a crashed worker, and is still collecting
        if not self._only_mesh_wide_left():
            super()._reschedule(node)
        elif not node.shutting_down and node is not self._last_worker():
            # A worker does not start its last test before it knows the next one, or that there is none.
            node.shutdown()
        else:
            self._start_mesh_wide()

    def _only_mesh_wide_left(self) -> bool:
        return list(self.workqueue) == [MESH_WIDE]

    def _last_worker(self) -> WorkerController | None:
        ready = [node for node in self.nodes if node in self.registered_collections]
        return next((node for node in ready if not node.shutting_down), None)

    def _start_mesh_wide(self) -> None:
        last = self._last_worker()
        if last is None or not self._only_mesh_wide_left():
            return
        others = [node for node in self.nodes if node is not last]
        if any(self._pending_of(self.assigned_work[node]) for node in others):
            return
        # Tests that this worker still has come first: one worker runs one test at a time.
        self._hand_out(last)
