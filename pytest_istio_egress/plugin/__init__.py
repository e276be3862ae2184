"""What pytest loads. Without --istio-egress it only declares its options.

With it, three plugins share the work: `Collecting` is in every process; `Leading` (leading.py) in the one that the user
started, `Working` (working.py) in xdist's workers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_istio_egress.settings.options import SWITCH, SettingError, Settings, add_options, settings, without_switch

if TYPE_CHECKING:
    from pytest_istio_egress.report.known_deviations import AcceptedDeviations


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the plugin's own hooks."""
    from pytest_istio_egress.plugin import hooks

    pluginmanager.add_hookspecs(hooks)


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
    from pytest_istio_egress.plugin.stash import SETTINGS

    config.stash[SETTINGS] = chosen
    config.addinivalue_line("markers", "istio_egress: one of the shipped tests of pytest-istio-egress")
    looks = only_looks(config)
    if not looks:
        known = told_beforehand(chosen)
        typed = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else None
        from pytest_istio_egress.plugin import failure_reports, fixtures
        from pytest_istio_egress.plugin.report_hooks import ReportHooks

        config.pluginmanager.register(ReportHooks(known), "istio-egress-report-hooks")
        config.pluginmanager.register(fixtures, "istio-egress-fixtures")
        config.pluginmanager.register(failure_reports, "istio-egress-failure-reports")
    config.pluginmanager.register(Collection(config, chosen), "istio-egress-collection")
    if hasattr(config, "workerinput"):
        from pytest_istio_egress.plugin.worker import Worker

        config.pluginmanager.register(Worker(), "istio-egress-run")
        return
    from pytest_istio_egress.plugin.controller import Controller

    controller = Controller(config, chosen)
    config.pluginmanager.register(controller, "istio-egress-run")
    config.pluginmanager.register(controller.progress, "istio-egress-progress")
    if not looks:
        from pytest_istio_egress.plugin.report_files import ReportFiles

        files = ReportFiles(config, chosen, known, typed, run=controller.run, found=controller.results_and_target)
        config.pluginmanager.register(files, "istio-egress-report-files")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Answer `-n auto`: as many workers as a cluster bears, whatever cores this machine has."""
    if not config.getoption(SWITCH):
        return None
    from pytest_istio_egress.plugin.scheduler import WORKERS

    return WORKERS


class Collection:
    """Finds the shipped cases and puts what was selected in order; the same in every process."""

    def __init__(self, config: pytest.Config, chosen: Settings) -> None:
        from pytest_istio_egress.plugin import collection

        self.collection = collection
        self.suite = collection.suite_folder()
        self.allow_mesh_wide = chosen.runs_mesh_wide
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
            return self.collection.SuiteParent.of(parent, path, self.suite)
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what isn't in the profile, and put what changes the whole mesh last, after all selecting."""
        left_out = self.collection.outside_profile(items, self.profile)
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]
        if hasattr(config, "workerinput"):
            from pytest_istio_egress.plugin.case_order import longest_first

            longest_first(items)
        self.collection.arrange(items, allow_mesh_wide=self.allow_mesh_wide)


def told_beforehand(chosen: Settings) -> AcceptedDeviations:
    """Read the baseline and the known deviations, and make sure that the reports will have a place."""
    from pytest_istio_egress.plugin.preflight import check_places, known_of

    try:
        check_places(chosen)
        return known_of(chosen)
    except SettingError as error:
        raise pytest.UsageError(str(error)) from error


def only_looks(config: pytest.Config) -> bool:
    """Whether no fixture is needed, nor the Kubernetes client behind them, which takes most of a second to import."""
    return bool(config.option.help or config.option.markers or config.option.collectonly)
