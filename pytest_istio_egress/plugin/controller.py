"""The process that the user started (xdist's controller): selects the target, collects results, cleans the cluster.

Its hooks are in the order in which pytest calls them.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from pytest_istio_egress.model.result_names import SKIPPED
from pytest_istio_egress.plugin.collection import needs_cluster
from pytest_istio_egress.plugin.progress import Progress
from pytest_istio_egress.plugin.scheduler import CaseScheduler
from pytest_istio_egress.plugin.stash import TARGET
from pytest_istio_egress.plugin.terminal import Terminal, write_summary
from pytest_istio_egress.plugin.termination import noted_interrupts
from pytest_istio_egress.plugin.worker import ENVIRONMENT_FAILED, HANDED_OVER
from pytest_istio_egress.report.results import NOTE_PROPERTY, Results, flattened
from pytest_istio_egress.run_target import NoClusterError, TargetError, new_run

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling
    from xdist.workermanage import WorkerController

    from pytest_istio_egress.report.results import Result
    from pytest_istio_egress.run_target import Prepared
    from pytest_istio_egress.settings.options import Settings

CLUSTER_UNUSABLE = 3
"""pytest's exit code when the cluster or its mesh cannot be used, or cannot be cleaned."""
ALL_SKIPPED = 6
"""pytest's exit code when every test was skipped: a gate must not be green on that."""


class Controller:
    """Selects the target, hands it over to the workers, collects the results, cleans the cluster."""

    def __init__(self, config: pytest.Config, chosen: Settings) -> None:
        self.config = config
        self.settings = chosen
        self.run = chosen.prepared or new_run()
        self.results = Results()
        self.terminal = Terminal(config)
        self.progress = Progress(config, self.terminal)
        self.prepared: Prepared | None = None
        self.interrupted_again = False
        """Whether the user pressed Ctrl-C again while pytest handled the first one."""
        self.began = time.monotonic()
        self.handover = TemporaryDirectory(prefix="istio-egress-")
        config.add_cleanup(self.handover.cleanup)
        self.handed_over = Path(self.handover.name) / "target.json"

    def pytest_report_header(self) -> list[str]:
        """Return the target and the run's id; the cluster has not been contacted yet."""
        places, profile = self.settings.places, self.settings.profile
        chosen = f", profile {profile}" if places["profile"] != "default" else ""
        return [f"istio-egress: target {self.settings.target} ({places['target']}), run {self.run}{chosen}"]

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Tell an xdist worker in which file it will find the target."""
        node.workerinput[HANDED_OVER] = str(self.handed_over)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Producer) -> LoadScopeScheduling:
        """Distribute by module, and prepare the target once the workers have collected."""
        config.option.loadscopereorder = False  # the order of case_order.py stays
        return CaseScheduler(config, log, self.prepare)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Prepare the target before the first test; with xdist the session has no items: see the scheduler."""
        failed = session.testsfailed and not self.config.option.continue_on_collection_errors
        if not (failed or self.config.option.collectonly or self.config.getoption("setupplan", default=False)):
            self.prepare([item.nodeid for item in session.items])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect a result, then leave its fields as plain properties for JUnit XML."""
        self.results.add(report, str(report.when))
        for name, value in report.user_properties:
            if name == NOTE_PROPERTY:
                self._note(str(value))
        report.user_properties = flattened(report.user_properties)

    def _note(self, sentence: str) -> None:
        """Print what a worker found out, once, and keep it for the reports."""
        if self.prepared is not None and sentence not in self.prepared.target.notes:
            target = replace(self.prepared.target, notes=(*self.prepared.target.notes, sentence))
            self.prepared = replace(self.prepared, target=target)
            self.progress.write(f"istio-egress: {sentence}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Collect the errors of collection."""
        if not report.passed:
            self.results.add(CollectionError(report), "collection")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_keyboard_interrupt(self) -> Generator[None, object, object]:
        """Let pytest show where it was interrupted; a second Ctrl-C meanwhile leaves the cluster as it is.

        pytest itself would end with a traceback, before its last steps.
        """
        with noted_interrupts() as again:
            result = yield
        self.interrupted_again = bool(again)
        return result

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Clean the cluster, after xdist has ended its workers; also after failures and Ctrl-C.

        A second Ctrl-C, while workers end or while the cluster is cleaned, ends that; the remedy is printed.
        """
        try:
            result = yield
            if self.interrupted_again:
                raise KeyboardInterrupt
            if self._environment_failed(session):
                session.exitstatus = CLUSTER_UNUSABLE
            elif session.exitstatus == pytest.ExitCode.OK and self._all_skipped():
                session.exitstatus = ALL_SKIPPED
            if self.prepared is not None:
                self._release(self.prepared, session)
        except KeyboardInterrupt:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
            if self.prepared is not None:
                self.terminal.warn(
                    f"istio-egress: interrupted before the cluster was clean; hint: {self._hint_to_clean()}"
                )
            return None
        return result

    def _hint_to_clean(self) -> str:
        if self.settings.prepared:
            return f"the next run with --istio-egress-prepared {self.run} deletes what is left"
        return f"`istio-egress clean --run {self.run}` lists what is left, and deletes it with --yes"

    def _release(self, prepared: Prepared, session: pytest.Session) -> None:
        from pytest_istio_egress.run_target.cleanup import release

        try:
            release(prepared, self.terminal.write)
        except TargetError as error:
            self.terminal.warn(f"istio-egress: {error}")
            session.exitstatus = CLUSTER_UNUSABLE

    def _environment_failed(self, session: pytest.Session) -> bool:
        """Whether a worker stopped the run; xdist carries its reason to its own object on the controller."""
        xdist: Any = self.config.pluginmanager.getplugin("dsession")
        reasons = (session.shouldstop, xdist and xdist.shouldstop)
        return any(str(reason).startswith(ENVIRONMENT_FAILED) for reason in reasons)

    def _all_skipped(self) -> bool:
        results = [] if self.config.getoption("setupplan", default=False) else self.results.all()
        return bool(results) and all(result.result == SKIPPED for result in results)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the matrix."""
        if self.results.by_id:
            write_summary(terminalreporter, self.results.all(), time.monotonic() - self.began)
            if self._all_skipped():
                self.terminal.warn(
                    f"istio-egress: every test was skipped, so nothing was tested (exit code {ALL_SKIPPED}); the "
                    "reasons are above"
                )

    def _use_prepared_namespaces(self, prepared: Prepared) -> None:
        from pytest_istio_egress.run_target.prepared_use import occupy, with_prepared_namespaces

        self.progress.phase("emptying the prepared namespaces")
        found = with_prepared_namespaces(prepared, self._workers, self.progress.write)
        self.prepared = occupy(found, self.progress.write)

    @property
    def _workers(self) -> int:
        xdist: Any = self.config.pluginmanager.getplugin("dsession")
        return len(xdist.nodemanager.specs) if xdist else 1

    def results_and_target(self) -> tuple[list[Result], Prepared | None]:
        """Return the results so far, and the target once it is prepared."""
        return self.results.all(), self.prepared

    def prepare(self, ids: Sequence[str]) -> None:
        """Select the target, connect to it and detect its mesh; does nothing when no test would run."""
        from pytest_istio_egress.run_target.description import after_detection
        from pytest_istio_egress.run_target.mesh_detection import detect_mesh
        from pytest_istio_egress.run_target.selection import prepare

        if not needs_cluster(ids, allow_mesh_wide=self.settings.runs_mesh_wide):
            return
        try:
            self.progress.begin(ids)
            self.progress.phase("connecting to the cluster")
            self.prepared = prepare(self.settings, self.run, self.progress.write, self.progress.show_start)
            if self.settings.prepared:
                self._use_prepared_namespaces(self.prepared)
            self.progress.phase("detecting the mesh")
            self.prepared = detect_mesh(self.prepared, self.settings, ids, self.progress.write)
            with self.progress.hidden():
                for line in after_detection(self.prepared):
                    self.terminal.write_header(line)
            self.progress.phase("creating clients and servers")
        except NoClusterError as error:
            raise pytest.UsageError(str(error)) from error
        except TargetError as error:
            pytest.exit(f"istio-egress: {error}", returncode=CLUSTER_UNUSABLE)
        self.config.stash[TARGET] = self.prepared.target
        self.handed_over.write_text(self.prepared.target.to_json(), encoding="utf-8")


class CollectionError:
    """A collection report in the shape of a test's."""

    def __init__(self, report: pytest.CollectReport) -> None:
        self.nodeid = report.nodeid
        self.outcome = report.outcome
        self.longrepr = report.longrepr
        self.user_properties: list[tuple[str, Any]] = []
