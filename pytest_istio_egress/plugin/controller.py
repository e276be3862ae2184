"""The process that the user started: it chooses the target, gathers the results and cleans the cluster.

Its hooks stand in the order in which pytest calls them.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from pytest_istio_egress.plugin.collection import needs_cluster
from pytest_istio_egress.plugin.header import after, before
from pytest_istio_egress.plugin.progress import Progress
from pytest_istio_egress.plugin.scheduler import CaseScheduler
from pytest_istio_egress.plugin.stash import TARGET
from pytest_istio_egress.plugin.terminal import Terminal, write_summary
from pytest_istio_egress.plugin.worker import HANDED_OVER
from pytest_istio_egress.report.results import Results, flat
from pytest_istio_egress.run_target import NoClusterError, TargetError, new_run

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling
    from xdist.workermanage import WorkerController

    from pytest_istio_egress.report.results import Result
    from pytest_istio_egress.run_target import Prepared
    from pytest_istio_egress.settings.options import Settings

CANNOT_ASK = 3
"""pytest's exit code when the cluster can't be asked, or can't be cleaned: nothing is known about the mesh."""


class Controller:
    """Chooses the target, hands it over, gathers the results, cleans up."""

    def __init__(self, config: pytest.Config, chosen: Settings) -> None:
        self.config = config
        self.settings = chosen
        self.run = new_run()
        self.results = Results()
        self.terminal = Terminal(config)
        self.progress = Progress(config, self.terminal)
        self.prepared: Prepared | None = None
        self.began = time.monotonic()
        self.handover = TemporaryDirectory(prefix="istio-egress-")
        config.add_cleanup(self.handover.cleanup)
        self.handed_over = Path(self.handover.name) / "target.json"

    def pytest_report_header(self) -> list[str]:
        """Say what will be asked."""
        return before(self.settings, self.run)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Tell an xdist worker where it will find the target."""
        node.workerinput[HANDED_OVER] = str(self.handed_over)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Producer) -> LoadScopeScheduling:
        """Distribute by module, and prepare the target once the workers have collected."""
        config.option.loadscopereorder = False  # the workers' order stays: longest_first.py
        return CaseScheduler(config, log, self.prepare)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Prepare the target when the cases are known and about to run; xdist's controller has no items of its own."""
        failed = session.testsfailed and not self.config.option.continue_on_collection_errors
        if not (failed or self.config.option.collectonly or self.config.getoption("setupplan", default=False)):
            self.prepare([item.nodeid for item in session.items])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather a result, then leave its parts as plain properties for JUnit XML."""
        self.results.add(report, str(report.when))
        report.user_properties = flat(report.user_properties)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Gather what could not even be collected."""
        if not report.passed:
            self.results.add(Uncollected(report), "collection")

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Clean the cluster, after xdist has ended its workers; also after failures and Ctrl-C.

        A second Ctrl-C, whether it comes while workers end or while the cluster is cleaned, ends that: what is left is
        told.
        """
        try:
            answer = yield
            if self.prepared is not None:
                self._release(self.prepared, session)
        except KeyboardInterrupt:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
            if self.prepared is not None:
                self.terminal.warn(
                    f"istio-egress: interrupted before the cluster was clean; `istio-egress clean --run {self.run}` "
                    "shows what is left, and removes it with --yes"
                )
            return None
        return answer

    def _release(self, prepared: Prepared, session: pytest.Session) -> None:
        from pytest_istio_egress.run_target.cleanup import release

        try:
            release(prepared, self.terminal.say)
        except TargetError as error:
            self.terminal.warn(f"istio-egress: {error}")
            session.exitstatus = CANNOT_ASK

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the matrix."""
        if self.results.by_id:
            write_summary(terminalreporter, self.results.all(), time.monotonic() - self.began)

    def results_and_target(self) -> tuple[list[Result], Prepared | None]:
        """Return the results so far, and the target if it was asked."""
        return self.results.all(), self.prepared

    def prepare(self, ids: Sequence[str]) -> None:
        """Choose the target and make sure that it answers; does nothing when no test would run."""
        from pytest_istio_egress.run_target.mesh_detection import detect_mesh
        from pytest_istio_egress.run_target.selection import prepare

        if not needs_cluster(ids, allow_mesh_wide=self.settings.runs_mesh_wide):
            return
        try:
            self.progress.begin(ids)
            self.progress.phase("asking the cluster")
            self.prepared = prepare(self.settings, self.run, self.progress.say)
            self.progress.phase("looking at the mesh")
            self.prepared = detect_mesh(self.prepared, self.settings, self.progress.say)
            with self.progress.hidden():
                for line in after(self.prepared):
                    self.terminal.head(line)
            self.progress.phase("making what the first case needs")
        except NoClusterError as error:
            raise pytest.UsageError(str(error)) from error
        except TargetError as error:
            pytest.exit(f"istio-egress: {error}", returncode=CANNOT_ASK)
        self.config.stash[TARGET] = self.prepared.target
        self.handed_over.write_text(self.prepared.target.to_json(), encoding="utf-8")


class Uncollected:
    """A collection report in the shape of a test's."""

    def __init__(self, report: pytest.CollectReport) -> None:
        self.nodeid = report.nodeid
        self.outcome = report.outcome
        self.longrepr = report.longrepr
        self.user_properties: list[tuple[str, Any]] = []
