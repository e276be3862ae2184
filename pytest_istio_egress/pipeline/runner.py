"""Runs a test's parameters: retries until the mesh has converged, and discards results that something else explains."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from typing import Any, TypeGuard

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.apply import Applier
from pytest_istio_egress.cluster.logs import UnreadableLogError
from pytest_istio_egress.cluster.mesh_config_map import MeshConfigMap
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.proxy_sync import ProxySync
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.probe import Probe
from pytest_istio_egress.pipeline.answers import judged
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.pipeline.failure_context import FailureInspector
from pytest_istio_egress.pipeline.interference import InterferenceDetector
from pytest_istio_egress.pipeline.prober import Prober
from pytest_istio_egress.pipeline.standstill import Standstill
from pytest_istio_egress.verdict.controls import with_controls
from pytest_istio_egress.verdict.verdict import Answer, Expectation, NoVerdict, Verdict

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
        self.prober = prober
        self._interference = interference
        self._mesh_config_map = mesh_config_map
        self.converge = context.timeouts.converge
        """Seconds in which a failure may be configuration that is late, so that the parameter is probed again."""
        self.fail_unsteady: Callable[[Probe], bool] = lambda probe: probe.from_own_workload
        """Whether a parameter fails that passed only after a failure, by its probe."""
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
            self._interference.accept_mesh_change()  # else a failed probe waits for the change to be undone
            self.case_setup.follow_mesh(arrived, expected=True)
            yield
        finally:
            self._mesh_config_map.restore_text(before)
            try:
                self.case_setup.follow_mesh(arrived, expected=False)
            finally:
                self._mesh_config_map.unlock()
                self._interference.accept_mesh_change()

    def verify(self, expectations: Sequence[Expectation], *, own_at_once: int = 1) -> list[Answer]:
        """Return what came of each parameter.

        The suite's own clients send theirs side by side, users' own workloads `own_at_once` at a time. A failure
        counts only if nothing else explains it. If a pod restarted or the mesh configuration changed meanwhile, the
        test is rerun from the start; if it had already changed its own state, it ends in an error.
        """
        answers = self._answered(expectations, own_at_once)
        for _ in range(RESTARTS):
            if all(answer.passed for answer in answers) or not (event := self._interference.detect()):
                return answers
            case, self.case_setup.case = self.case_setup.case, None
            if case is None:
                raise ClusterError(f"{event} during the test, so its result is discarded")
            self.enter(case)
            answers = self._answered(expectations, own_at_once)
        if all(answer.passed for answer in answers) or not (event := self._interference.detect()):
            return answers
        raise ClusterError(f"{event} during the test, {RESTARTS + 1} times in a row, so its result is discarded")

    @contextmanager
    def sending(self, expectations: Sequence[Expectation]) -> Iterator[list[Answer]]:
        """Send probes once, in the background of the block of the `with`; the list has what came of them at its end."""
        answers: list[Answer] = []
        with ThreadPoolExecutor(1) as pool:
            verified = pool.submit(self.prober.verify, expectations, 1, len(expectations))
            yield answers
        if not all(answer.passed for answer in verified.result()):
            self.check_interference()
        answers += [self._explained(answer) for answer in verified.result()]

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
        created = [self.prober.gateway_pods(at) for at in places if at is not None and at not in cached]
        if any(created):
            self.case_setup.sync()

    def _answered(self, expectations: Sequence[Expectation], own_at_once: int) -> list[Answer]:
        """Probe until everything passes, or no failure can be late configuration any more; then judge all answers."""
        if not expectations:
            return []
        if not all(probe.from_own_workload for probe, _ in expectations):
            self.case_setup.ensure_environment()
        if self.case_setup.documents:
            self.case_setup.sync_workloads(probe.client for probe, _ in expectations if probe.from_own_workload)
        self._await_gateways({outcome.gateway.at for _, outcome in expectations if outcome.gateway})
        deadline = max(time.monotonic() + self.converge, self._interference.unsettled_until)
        answers = self.prober.verify(expectations, 1, own_at_once)
        late: list[list[Verdict]] = [[] for _ in expectations]
        standstill = Standstill(self.context, self.case_setup, expectations)
        attempt = 1
        while time.monotonic() < deadline:
            failed = {index: answer for index, answer in enumerate(answers) if self._may_be_late(answer)}
            if not failed or self._is_final(standstill, [*failed.values()]):
                break
            # A proxy that is behind is not helped by a flood of requests.
            threading.Event().wait(min(PAUSE * attempt, LONGEST_PAUSE))
            attempt += 1
            sent = with_controls([*failed], expectations)
            again = self.prober.verify([expectations[index] for index in sent], attempt, own_at_once)
            for index, answer in zip(failed, again, strict=False):  # those after them are controls that passed before
                before = answers[index]
                late[index] += [before] if isinstance(before, Verdict) else []
                answers[index] = answer
        return [
            self._explained(judged(series, late[index], accept_late=self._accepts_late(expectations[index])))
            for index, series in enumerate(self._in_a_row(expectations, answers))
        ]

    def _is_final(self, standstill: Standstill, failed: Sequence[Verdict]) -> bool:
        """Whether failures stay, as nothing that decides them changes any more."""
        return time.monotonic() >= self._interference.unsettled_until and standstill.reached(failed)

    def _may_be_late(self, answer: Answer) -> TypeGuard[Verdict]:
        """Whether a failure can be configuration that is still on its way: only what a test itself applied can be."""
        if not isinstance(answer, Verdict) or not answer.differences:
            return False  # what a log does not have now it will not have later
        return not answer.probe.from_own_workload or bool(self.case_setup.documents)

    def _in_a_row(self, expectations: Sequence[Expectation], first: Sequence[Answer]) -> list[list[Answer]]:
        """Return all answers that each parameter asks for; one that failed late has no more to say."""
        wanted = [
            0 if self._may_be_late(answer) or isinstance(answer, NoVerdict) else outcome.times - 1
            for (_, outcome), answer in zip(expectations, first, strict=True)
        ]
        pairs = [pair for pair, more in zip(expectations, wanted, strict=True) for _ in range(more)]
        rest = iter(self.prober.verify(pairs, 1, 1) if pairs else [])
        return [[answer, *islice(rest, more)] for answer, more in zip(first, wanted, strict=True)]

    def _accepts_late(self, expectation: Expectation) -> bool:
        probe, outcome = expectation
        return outcome.share < 1 or not self.fail_unsteady(probe)

    def _explained(self, answer: Answer) -> Answer:
        """Add its cause to a failure; where a log that it depends on cannot be read, it is an error."""
        if not isinstance(answer, Verdict) or answer.passed:
            return answer
        verdict = self.inspector.explained(answer)
        if not verdict.log_trouble:
            return verdict
        error = UnreadableLogError(verdict.log_trouble)
        return NoVerdict(probe=verdict.probe, expected=verdict.expected, error=error)


def case_runner(context: WorkerContext) -> CaseRunner:
    """Return a runner with all its collaborators for one worker."""
    applier = Applier(context.api, context.names)
    markers = context.environment.additions.markers
    case_setup = CaseSetup(context, applier, ProxySync(context.api, applier, context.timeouts.settle, markers))
    prober = Prober(context, case_setup)
    mesh = context.names.mesh
    mesh_config_map = MeshConfigMap(context.api, mesh.control_plane, mesh.config_map, context.names.run)
    return CaseRunner(
        context,
        case_setup,
        prober,
        FailureInspector(context, case_setup, prober),
        InterferenceDetector(context, mesh_config_map),
        mesh_config_map,
    )
