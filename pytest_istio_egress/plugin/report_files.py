"""Writes the report files: replaces older ones at the start; at the end compares the run with its baseline."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_istio_egress.plugin.run_metadata import run_info
from pytest_istio_egress.plugin.terminal import Terminal, write_comparison
from pytest_istio_egress.report.atomic_write import NotWrittenError, append, write_whole
from pytest_istio_egress.report.document import Run, RunInfo, report_text
from pytest_istio_egress.report.evidence_folder import EvidenceFolder, evidence_folder, pop_evidence
from pytest_istio_egress.report.html_page import page_text
from pytest_istio_egress.report.known_deviations import AcceptedDeviations
from pytest_istio_egress.report.markdown import summary_text
from pytest_istio_egress.report.results import CASE_PROPERTY, Result
from pytest_istio_egress.run_target import Prepared
from pytest_istio_egress.settings.options import Settings

NOT_WRITTEN = 3
"""The exit code of a run without failures whose report could not be written."""

SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable with the path of the file to which a CI job's summary is appended."""

NOT_ENDED = "the run has not ended, or was killed"
"""What the report of a running run contains: still true if the run is killed."""

Output = tuple[Path | None, Callable[[Path, str], None], Callable[[Run], str]]
"""A report: its path (None: not requested), the function that writes it, and its text."""

RunState = Callable[[], tuple[list[Result], Prepared | None]]
"""Returns the results so far, and the target once it is prepared."""


class ReportFiles:
    """Hooks of the process that the user started; `state` is called once the run is over.

    `selection` are the paths and ids on the command line as they were typed, None without any.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        accepted: AcceptedDeviations,
        selection: Sequence[str] | None,
        *,
        run: str,
        state: RunState,
    ) -> None:
        self.config = config
        self.settings = settings
        self.accepted = accepted
        self.selection = None if selection is None else [argument.removeprefix("./") for argument in selection]
        self.run = run
        self.state = state
        folder = evidence_folder(settings.report, settings.html)
        self.evidence = EvidenceFolder(folder, run) if folder else None
        self.folders: dict[str, str] = {}
        self.began = datetime.now(UTC)
        self.terminal = Terminal(config)
        self.missing: list[str] = []
        self.stopped = ""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Replace older reports before anything can end this run: they would be taken for this one's."""
        if self._runs_nothing():
            return
        # A terminal or a pipe contains no older report, and is written to only once.
        older = [output for output in outputs_of(self.settings) if output[0] and output[0].is_file()]
        for problem in write_reports(Run(info=self._info(NOT_ENDED), results=[]), older):
            self.terminal.warn(f"istio-egress: {problem}")
        if self.evidence:
            self.evidence.begin()

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note what stopped the run: Ctrl-C, or a cluster that cannot be used."""
        message = str(excinfo.value)
        # A run that a worker stopped is interrupted too, with the reason as its message.
        self.stopped = f"stopped: {message}" if message else "interrupted"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the evidence that a report carries, and record its folder in all reports of that parameter."""
        files = pop_evidence(report)
        if files and self.evidence:
            self.folders[report.nodeid] = self.evidence.write(report.nodeid, files)
        if folder := self.folders.get(report.nodeid):
            report.user_properties.append((CASE_PROPERTY, {"evidence": folder}))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the reports before the cluster is cleaned: a failure there cannot lose them."""
        if self._runs_nothing():
            return
        results, _ = self.state()
        run = Run(info=self._info(self._why_stopped(session)), results=results)
        summary = job_summary() if results or run.info.stopped else []
        problems = write_reports(run, [*outputs_of(self.settings), *summary])
        if self.evidence and self.evidence.problem:
            problems.append(self.evidence.problem)
        for problem in problems:
            self.terminal.warn(f"istio-egress: {problem}")
        self.missing = self.accepted.missing(results, selection=self._selection())
        if session.exitstatus == pytest.ExitCode.OK:
            if self.missing:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            elif problems:
                session.exitstatus = NOT_WRITTEN

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the comparison with the baseline and the unused known deviations, below the matrix."""
        results, _ = self.state()
        if not results:
            return
        unused = self.accepted.unused(results) if self._selection() is None else []
        now = Run(info=self._info(""), results=results)
        write_comparison(terminalreporter, self.accepted, now, missing=self.missing, unused=unused)

    def _runs_nothing(self) -> bool:
        return any(self.config.getoption(name, default=False) for name in ("collectonly", "setupplan"))

    def _why_stopped(self, session: pytest.Session) -> str:
        """Return why the run was stopped before its end, empty where it was not."""
        if reason := self.stopped or session.shouldfail or session.shouldstop:
            return str(reason)
        ended = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
        if session.exitstatus in ended:
            return ""
        name = pytest.ExitCode(session.exitstatus).name if session.exitstatus in list(pytest.ExitCode) else "exit code"
        return f"pytest ended with {name.lower().replace('_', ' ')} ({int(session.exitstatus)})"

    def _info(self, stopped: str) -> RunInfo:
        return run_info(
            self.state()[1],
            self.settings,
            run=self.run,
            began=self.began.isoformat(timespec="seconds"),
            seconds=(datetime.now(UTC) - self.began).total_seconds(),
            stopped=stopped,
            arguments=[str(argument) for argument in self.config.invocation_params.args],
        )

    def _selection(self) -> list[str] | None:
        """Return the paths and ids to which the user limited the run, None where it was not limited."""
        option = self.config.option
        # What these deselect is known in the workers only, so nothing is reported as missing.
        deselecting = (option.keyword, option.markexpr, option.deselect, getattr(option, "lf", False))
        return [] if any(deselecting) else self.selection


def outputs_of(settings: Settings) -> list[Output]:
    """Return the report files that the settings name."""

    def page(run: Run) -> str:
        if settings.report is None or settings.html is None:
            return page_text(run)
        # The evidence is beside the report; the page may be in another folder.
        path = os.path.relpath(settings.report.parent, settings.html.parent)
        results = [
            replace(result, evidence=str(Path(path, result.evidence))) if result.evidence else result
            for result in run.results
        ]
        return page_text(replace(run, results=results))

    return [(settings.report, write_whole, report_text), (settings.html, write_whole, page)]


def job_summary() -> list[Output]:
    """Return the page of the CI job's summary, where there is one."""
    page = os.environ.get(SUMMARY)
    return [(Path(page) if page else None, append, summary_text)]


def write_reports(run: Run, outputs: Iterable[Output]) -> list[str]:
    """Write the reports; return one line for each that could not be written."""
    problems = []
    for path, write, text_of in outputs:
        try:
            if path is not None:
                write(path, text_of(run))
        except NotWrittenError as error:
            problems.append(str(error))
    return problems
