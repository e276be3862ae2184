"""Runs a test's parameters: retries until the mesh has converged, and discards results that something else explains."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.apply import Applier
from pytest_istio_egress.cluster.mesh_config_map import MeshConfigMap
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.proxy_sync import ProxySync
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.pipeline.failure_context import FailureInspector
from pytest_istio_egress.pipeline.interference import InterferenceDetector
from pytest_istio_egress.pipeline.prober import Prober
from pytest_istio_egress.verdict.controls import with_controls
from pytest_istio_egress.verdict.verdict import Expectation, Verdict

PAUSE, LONGEST_PAUSE = 0.2, 1.0
"""Seconds between two attempts: most failures of the first moment pass soon, the rest late or never."""
RESTARTS = 2
"""How often a test starts afresh after interference."""


class CaseRunner:
    """Takes one test after the other through the pipeline, on one worker's part of the cluster."""

    def __init__(
        self,
        context: WorkerContext,
        case_setup: CaseSetup,
        prober: Prober,
        inspector: FailureInspector,
        interference: InterferenceDetector,
        mesh_config_map: MeshConfigMap,
    ) -> None:
        self.context = context
        self.case_setup = case_setup
        self.inspector = inspector
        self._prober = prober
        self._interference = interference
        self._mesh_config_map = mesh_config_map
        self.converge = context.timeouts.converge
        """Seconds in which a parameter that fails is probed again."""
        self.require_control = True
        """Whether a block passes only beside a control that passed."""
        self.entering: Callable[[Case], AbstractContextManager[object]] = nullcontext
        """Surrounds the setup of each test; `demonstrations/causes` breaks the mesh here."""
        self.change_mesh_config = True
        """Whether tests really change the mesh configuration; `demonstrations/noticed` takes the change away."""

    def enter(self, case: Case) -> bool:
        """Set a test up; False where it is set up already, as it began."""
        self._interference.begin()
        if case is self.case_setup.case:
            return False
        with self.entering(case):
            return self.case_setup.enter(case)

    @contextmanager
    def changed_mesh_config(self, changes: Mapping[str, Any], arrived: Callable[[ProxyConfig], bool]) -> Iterator[None]:
        """Change the mesh configuration for a while; `arrived` tells from a proxy's configuration that it has it."""
        if not self.change_mesh_config:
            yield
            return
        self.case_setup.case = None
        self.case_setup.ensure_environment()  # its proxies show when the change has arrived
        before = self._mesh_config_map.change(changes)
        try:
            self.case_setup.follow_mesh(arrived, expected=True)
            yield
        finally:
            self._mesh_config_map.restore_text(before)
            try:
                self.case_setup.follow_mesh(arrived, expected=False)
            finally:
                self._mesh_config_map.unlock()
                self._interference.accept_mesh_change()

    def verify(self, expectations: Sequence[Expectation]) -> list[Verdict]:
        """Return a verdict on each parameter; all are probed side by side.

        A failure counts only if nothing else explains it. If a pod restarted or the mesh configuration changed
        meanwhile, the test is rerun from the start; if it had already changed its own state, it ends in an error.
        """
        verdicts = self._converged(expectations)
        for _ in range(RESTARTS):
            if all(verdict.passed for verdict in verdicts) or not (event := self._interference.detect()):
                return verdicts
            case, self.case_setup.case = self.case_setup.case, None
            if case is None:
                raise ClusterError(f"{event} during the test, so its result is discarded")
            self.enter(case)
            verdicts = self._converged(expectations)
        if all(verdict.passed for verdict in verdicts) or not (event := self._interference.detect()):
            return verdicts
        raise ClusterError(f"{event} during the test, {RESTARTS + 1} times in a row, so its result is discarded")

    def accept_mesh_change(self) -> None:
        """Take the mesh configuration as it is now for that of the run: whoever calls this has changed it."""
        self._interference.accept_mesh_change()

    def check_interference(self) -> None:
        """Raise ClusterError where something other than the mesh may explain a failed check."""
        if event := self._interference.detect():
            raise ClusterError(f"{event} during the test, so its result is discarded")

    def _await_gateways(self, places: Iterable[str | None]) -> None:
        """Wait for gateways that Istio has yet to create, and for their endpoints; that is no part of converging."""
        cached = self.context.environment.pod_lookup.cached().keys()
        created = [self._prober.gateway_pods(at) for at in places if at is not None and at not in cached]
        if any(created):
            self.case_setup.sync()

    def _converged(self, expectations: Sequence[Expectation]) -> list[Verdict]:
        """Probe until everything passes or the time to converge is over: Istio is eventually consistent."""
        if not expectations:
            return []
        if not all(probe.from_own_workload for probe, _ in expectations):
            self.case_setup.ensure_environment()
        self._await_gateways({outcome.gateway.at for _, outcome in expectations if outcome.gateway})
        deadline = max(time.monotonic() + self.converge, self._interference.unsettled_until)
        verdicts = self._prober.verify(expectations, attempt=1)
        attempt = 1
        while time.monotonic() < deadline:
            # What a log does not have now it will not have later.
            failed = [index for index, verdict in enumerate(verdicts) if verdict.differences]
            if not failed:
                break
            # A proxy that is behind is not helped by a flood of requests.
            threading.Event().wait(min(PAUSE * attempt, LONGEST_PAUSE))
            attempt += 1
            sent = with_controls(failed, expectations)
            again = self._prober.verify([expectations[index] for index in sent], attempt)
            for index, verdict in zip(failed, again, strict=False):  # those after them are controls that passed before
                verdicts[index] = verdict
        return [verdict if verdict.passed else self.inspector.explained(verdict) for verdict in verdicts]


def case_runner(context: WorkerContext) -> CaseRunner:
    """Return a runner with all its collaborators for one worker."""
    applier = Applier(context.api, context.names)
    case_setup = CaseSetup(context, applier, ProxySync(context.api, applier, context.timeouts.settle))
    prober = Prober(context, case_setup)
    mesh = context.names.mesh
    mesh_config_map = MeshConfigMap(context.api, mesh.control_plane, mesh.config_map)
    return CaseRunner(
        context,
        case_setup,
        prober,
        FailureInspector(context, case_setup, prober),
        InterferenceDetector(context, mesh_config_map),
        mesh_config_map,
    )
