"""Who may run beside whom: a module stays on one xdist worker, and what changes the whole mesh runs alone, last.

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
"""What `-n auto` means. Each worker brings clients of its own, to whose proxies a mesh pushes what all the others
change. With four a cluster of two cores has hardly an idle moment; six are no faster there, and slower in a mesh that
holds much (`benchmarks/growth.py`)."""


class CaseScheduler(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """LoadScopeScheduling with a scope that runs last and beside no other; a module goes where it costs least."""

    def __init__(
        self, config: pytest.Config, log: Producer | None, before_first: Callable[[Sequence[str]], None]
    ) -> None:
        super().__init__(config, log)
        self._before_first = before_first
        self._affinity = WorkerAffinity(needs_by_module())

    def schedule(self) -> None:
        """Hand out the first modules; before that, let the cluster be made ready for them."""
        if self.collection is None:
            self._before_first(next(iter(self.registered_collections.values())))
        super().schedule()

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Note that a test is over; it may have been the last one that the mesh-wide cases wait for."""
        super().mark_test_complete(node, item_index, duration)
        self._start_mesh_wide()

    def remove_node(self, node: WorkerController) -> str | None:
        """Forget a worker that ended or crashed; returns the test that it died in, which is not asked again.

        xdist's own would hand that test to the next worker, and to the next, until no worker may be restarted.
        """
        self._affinity.gone(node)
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
        if not self._only_mesh_wide_is_left():
            module = self._affinity.best(node, (scope for scope in self.workqueue if scope != MESH_WIDE))
            self.workqueue.move_to_end(module, last=False)
            self._affinity.taken(node, module)
            self._hand_out(node)

    def _hand_out(self, node: WorkerController) -> None:
        # A worker can die between its last report and its next work. The work stands in its name by then, so that
        # xdist, which hears of the death a moment later, blames the test it died in and hands the rest to others.
        with suppress(OSError):
            super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        if node not in self.registered_collections:
            return  # It replaces one that crashed, and is still collecting.
        if not self._only_mesh_wide_is_left():
            super()._reschedule(node)
        elif not node.shutting_down and node is not self._last_worker():
            # A worker holds its last test back until it knows the next one, or that there is none.
            node.shutdown()
        else:
            self._start_mesh_wide()

    def _only_mesh_wide_is_left(self) -> bool:
        return list(self.workqueue) == [MESH_WIDE]

    def _last_worker(self) -> WorkerController | None:
        ready = [node for node in self.nodes if node in self.registered_collections]
        return next((node for node in ready if not node.shutting_down), None)

    def _start_mesh_wide(self) -> None:
        last = self._last_worker()
        if last is None or not self._only_mesh_wide_is_left():
            return
        others = [node for node in self.nodes if node is not last]
        if any(self._pending_of(self.assigned_work[node]) for node in others):
            return
        # What the last worker still holds of its own comes first: one worker runs one test at a time.
        self._hand_out(last)
