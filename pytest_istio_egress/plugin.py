"""The plugin's hooks, in the order in which pytest calls them. Without --istio-egress it only declares its options.

Three plugins share the work: `Collecting` is in every process; `Leading` in the one that the user started, where the
target is chosen, results come together and the cluster is cleaned; `Working` in xdist's workers.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from pytest_istio_egress.options import SWITCH, SettingError, Settings, add_options, settings, without_switch

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling
    from xdist.workermanage import WorkerController

    from pytest_istio_egress.report.known_deviations import Known
    from pytest_istio_egress.report.results import Result
    from pytest_istio_egress.target import Prepared

HANDED_OVER = "istio_egress_target"
"""The key in xdist's workerinput: the file in which a worker finds the target before it gets its first test."""

CANNOT_ASK = 3
"""pytest's exit code when the cluster can't be asked, or can't be cleaned: nothing is known about the mesh."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """With --istio-egress, register the fixtures and the other hooks."""
    if not config.getoption(SWITCH):
        if given := without_switch(config):
            raise pytest.UsageError(f"{given} has no effect without --istio-egress: add it, or leave {given} out")
        return
    try:
        chosen = settings(config)
    except SettingError as error:
        raise pytest.UsageError(str(error)) from error
    config.addinivalue_line("markers", "istio_egress: one of the shipped cases of pytest-istio-egress")
    worker = hasattr(config, "workerinput")
    looks = only_looks(config)
    if not looks:
        known = told_beforehand(chosen)
        typed = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else None
        from pytest_istio_egress import failures, pytest_fixtures
        from pytest_istio_egress.report.marking import Marking

        config.pluginmanager.register(Marking(known), "istio-egress-marking")
        config.pluginmanager.register(pytest_fixtures, "istio-egress-fixtures")
        config.pluginmanager.register(failures, "istio-egress-failures")
    config.pluginmanager.register(Collecting(config, chosen), "istio-egress-collecting")
    if worker:
        config.pluginmanager.register(Working(), "istio-egress-run")
        return
    leading = Leading(config, chosen)
    config.pluginmanager.register(leading, "istio-egress-run")
    if not looks:
        from pytest_istio_egress.report.ending import Ending

        ending = Ending(config, chosen, known, typed, run=leading.run, found=leading.found)
        config.pluginmanager.register(ending, "istio-egress-ending")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Answer `-n auto`: as many workers as a cluster bears, whatever cores this machine has."""
    if not config.getoption(SWITCH):
        return None
    from pytest_istio_egress.scheduling import WORKERS

    return WORKERS


class Collecting:
    """Finds the shipped cases and puts what was selected in order; the same in every process."""

    def __init__(self, config: pytest.Config, chosen: Settings) -> None:
        from pytest_istio_egress import collection

        self.collection = collection
        self.suite = collection.suite_folder()
        self.allow_mesh_wide = runs_mesh_wide(chosen)
        self.profile = chosen.profile
        explicit = config.args_source is pytest.Config.ArgsSource.ARGS
        given = config.args if explicit else []
        invocation = config.invocation_params.dir
        config.args = collection.chosen_paths(given, self.suite, invocation)
        config.args_source = pytest.Config.ArgsSource.ARGS
        self.own_paths = collection.beside_suite(config.args, self.suite, invocation)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect the suite's folders without regard to the repository's settings."""
        if path.is_relative_to(self.suite):
            return self.collection.CaseDirectory.of(parent, path, self.suite)
        if self.suite.is_relative_to(path) and not any(own.is_relative_to(path) for own in self.own_paths):
            return self.collection.WayToSuite.of(parent, path, self.suite)
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what isn't in the profile, and put what changes the whole mesh last, after all selecting."""
        left_out = self.collection.outside_profile(items, self.profile)
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]
        if hasattr(config, "workerinput"):
            from pytest_istio_egress.longest_first import longest_first

            longest_first(items)
        self.collection.arrange(items, allow_mesh_wide=self.allow_mesh_wide)


class Leading:
    """Chooses the target, hands it over, gathers the results, cleans up."""

    def __init__(self, config: pytest.Config, chosen: Settings) -> None:
        from pytest_istio_egress.report.live import Live
        from pytest_istio_egress.report.results import Results
        from pytest_istio_egress.report.terminal import Terminal
        from pytest_istio_egress.target import new_run

        self.config = config
        self.settings = chosen
        self.run = new_run()
        self.results = Results()
        self.terminal = Terminal(config)
        self.live = Live(config, self.terminal)
        config.pluginmanager.register(self.live, "istio-egress-live")
        self.prepared: Prepared | None = None
        self.began = time.monotonic()
        self.handover = TemporaryDirectory(prefix="istio-egress-")
        config.add_cleanup(self.handover.cleanup)
        self.handed_over = Path(self.handover.name) / "target.json"

    def pytest_report_header(self) -> list[str]:
        """Say what will be asked."""
        from pytest_istio_egress.report.header import before

        return before(self.settings, self.run)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Tell an xdist worker where it will find the target."""
        node.workerinput[HANDED_OVER] = str(self.handed_over)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Producer) -> LoadScopeScheduling:
        """Distribute by module, and prepare the target once the workers have collected."""
        from pytest_istio_egress.scheduling import CaseScheduling

        config.option.loadscopereorder = False  # the workers' order stays: longest_first.py

        return CaseScheduling(config, log, self.prepare)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Prepare the target when the cases are known and about to run; xdist's controller has no items of its own."""
        failed = session.testsfailed and not self.config.option.continue_on_collection_errors
        if not (failed or self.config.option.collectonly or self.config.getoption("setupplan", default=False)):
            self.prepare([item.nodeid for item in session.items])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather a result, then leave its parts as plain properties for JUnit XML."""
        from pytest_istio_egress.report.results import flat

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
        from pytest_istio_egress.target import TargetError
        from pytest_istio_egress.target.release import release

        try:
            release(prepared, self.terminal.say)
        except TargetError as error:
            self.terminal.warn(f"istio-egress: {error}")
            session.exitstatus = CANNOT_ASK

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the matrix."""
        from pytest_istio_egress.report.terminal import write_summary

        if self.results.by_case:
            write_summary(terminalreporter, self.results.all(), time.monotonic() - self.began)

    def found(self) -> tuple[list[Result], Prepared | None]:
        """Return the results so far, and the target if it was asked."""
        return self.results.all(), self.prepared

    def prepare(self, ids: Sequence[str]) -> None:
        """Choose the target and make sure that it answers; does nothing when no test would run."""
        from pytest_istio_egress.collection import needs_cluster
        from pytest_istio_egress.report.header import after
        from pytest_istio_egress.target import TARGET, NoClusterError, TargetError
        from pytest_istio_egress.target.choice import prepare
        from pytest_istio_egress.target.mesh import look_at_mesh

        if not needs_cluster(ids, allow_mesh_wide=runs_mesh_wide(self.settings)):
            return
        try:
            self.live.begin(ids)
            self.live.phase("asking the cluster")
            self.prepared = prepare(self.settings, self.run, self.live.say)
            self.live.phase("looking at the mesh")
            self.prepared = look_at_mesh(self.prepared, self.settings, self.live.say)
            with self.live.hidden():
                for line in after(self.prepared):
                    self.terminal.head(line)
            self.live.phase("making what the first case needs")
        except NoClusterError as error:
            raise pytest.UsageError(str(error)) from error
        except TargetError as error:
            pytest.exit(f"istio-egress: {error}", returncode=CANNOT_ASK)
        self.config.stash[TARGET] = self.prepared.target
        self.handed_over.write_text(self.prepared.target.to_json(), encoding="utf-8")


class Working:
    """An xdist worker: takes over the target that was chosen."""

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Read the target before the first test that isn't skipped: the controller has written it by then."""
        from pytest_istio_egress.target import TARGET, Target

        if TARGET not in item.config.stash:
            workerinput: dict[str, Any] = item.config.workerinput  # type: ignore[attr-defined]  # xdist puts it there
            written = Path(workerinput[HANDED_OVER])
            item.config.stash[TARGET] = Target.from_json(written.read_text(encoding="utf-8"))


class Uncollected:
    """A collection report in the shape of a test's."""

    def __init__(self, report: pytest.CollectReport) -> None:
        self.nodeid = report.nodeid
        self.outcome = report.outcome
        self.longrepr = report.longrepr
        self.user_properties: list[tuple[str, Any]] = []


def told_beforehand(chosen: Settings) -> Known:
    """Read the baseline and the known deviations, and make sure that the reports will have a place."""
    from pytest_istio_egress.report.beforehand import check_places, known_of

    try:
        check_places(chosen)
        return known_of(chosen)
    except SettingError as error:
        raise pytest.UsageError(str(error)) from error


def only_looks(config: pytest.Config) -> bool:
    """Whether no fixture is needed, nor the Kubernetes client behind them, which takes most of a second to import."""
    return bool(config.option.help or config.option.markers or config.option.collectonly)


def runs_mesh_wide(chosen: Settings) -> bool:
    """Whether cases that change mesh-wide configuration may run."""
    from pytest_istio_egress.options import EMBEDDED

    return chosen.allow_mesh_wide or chosen.target == EMBEDDED
