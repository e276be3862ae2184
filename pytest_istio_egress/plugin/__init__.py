"""What pytest loads. Without --istio-egress it only declares its options.

Every hook implementation, in the order in which pytest calls them (C: in the process that the user started, xdist's
controller; W: in every process that runs tests, so in xdist's workers, or without xdist in that same process):

    start       pytest_addoption, pytest_addhooks      CW  __init__
                pytest_xdist_auto_num_workers          C   __init__        `-n auto` is four workers
                pytest_configure                       CW  __init__        registers everything below
                pytest_sessionstart                    C   report_files    replaces older reports
                pytest_report_header                   C   controller
                pytest_configure_node                  C   controller      path of the target's file for a worker
    collection  pytest_collect_directory               CW  collection
                pytest_collection_modifyitems          CW  collection      profile, order, mesh-wide tests last
                pytest_collectreport                   C   controller      records errors of collection
                pytest_xdist_make_scheduler            C   controller
                pytest_runtestloop                     C   controller      connects to the cluster, detects the mesh
    each test   pytest_runtest_logstart                C   progress
                pytest_runtest_setup                   W   report_hooks    records summary and source
                                                       W   worker          reads the target
                pytest_fixture_setup                   W   report_hooks    redacts what a fixture raises
                pytest_istio_egress_runner             W   (hooks.py: for other plugins; called by fixtures)
                pytest_runtest_makereport              W   failure_reports text and record of a failure
                                                       W   report_hooks    known deviations, redaction
                pytest_runtest_logreport               C   report_files    writes the evidence files
                                                       C   controller      collects the results
                                                       C   progress        counts; wraps the two above
                pytest_runtest_logfinish               C   progress
    end         pytest_keyboard_interrupt              C   report_files
                pytest_sessionfinish                   C   progress        removes the progress line
                                                       C   report_files    writes the reports, compares the baseline
                                                       C   controller      cleans the cluster
                pytest_terminal_summary                C   controller      the matrix
                                                       C   report_files    baseline and known deviations
"""

from __future__ import annotations

import pytest

from pytest_istio_egress.settings.options import SWITCH, SettingError, add_options, settings, without_switch


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the plugin's own hooks."""
    from pytest_istio_egress.plugin import hooks

    pluginmanager.add_hookspecs(hooks)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return the workers of `-n auto`: as many as a cluster can bear, whatever cores this machine has."""
    if not config.getoption(SWITCH):
        return None
    from pytest_istio_egress.plugin.scheduler import WORKERS

    return WORKERS


def pytest_configure(config: pytest.Config) -> None:
    """With --istio-egress, register the fixtures and all other hooks."""
    if not config.getoption(SWITCH):
        if option := without_switch(config):
            raise pytest.UsageError(f"{option} requires --istio-egress: add it, or remove {option}")
        return
    try:
        _register(config)
    except SettingError as error:
        raise pytest.UsageError(str(error)) from error


def _register(config: pytest.Config) -> None:
    """Register the plugin objects; of hooks with the same priority pytest calls the one registered last first."""
    from pytest_istio_egress.plugin.collection import CollectionHooks
    from pytest_istio_egress.plugin.preflight import accepted_deviations, check_report_paths
    from pytest_istio_egress.plugin.stash import SETTINGS

    chosen = settings(config)
    config.stash[SETTINGS] = chosen
    config.addinivalue_line("markers", "istio_egress: one of the shipped tests of pytest-istio-egress")
    register = config.pluginmanager.register
    selection = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else None
    register(CollectionHooks(config, chosen), "istio-egress-collection")
    if runs_tests(config):
        check_report_paths(chosen)
        accepted = accepted_deviations(chosen)
        from pytest_istio_egress.plugin import failure_reports, fixtures
        from pytest_istio_egress.plugin.report_hooks import ReportHooks
        from pytest_istio_egress.plugin.termination import interrupt_at_sigterm

        interrupt_at_sigterm(config)
        register(ReportHooks(accepted), "istio-egress-report-hooks")
        register(fixtures, "istio-egress-fixtures")
        register(failure_reports, "istio-egress-failure-reports")
    if hasattr(config, "workerinput"):
        from pytest_istio_egress.plugin.worker import Worker

        register(Worker(), "istio-egress-run")
        return
    from pytest_istio_egress.plugin.controller import Controller

    controller = Controller(config, chosen)
    register(controller, "istio-egress-run")
    register(controller.progress, "istio-egress-progress")
    if runs_tests(config):
        from pytest_istio_egress.plugin.report_files import ReportFiles

        files = ReportFiles(
            config, chosen, accepted, selection, run=controller.run, state=controller.results_and_target
        )
        register(files, "istio-egress-report-files")


def runs_tests(config: pytest.Config) -> bool:
    """Whether tests run, or at least fixtures are listed: their Kubernetes client takes most of a second to import."""
    return not (config.option.help or config.option.markers or config.option.collectonly)
