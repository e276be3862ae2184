"""Start and end of a run's reports: an older one goes first; at the end the run is held against its baseline."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_istio_egress.plugin.run_metadata import about_run
from pytest_istio_egress.plugin.terminal import Terminal, write_comparison
from pytest_istio_egress.report.atomic_write import NotWrittenError, append, write_whole
from pytest_istio_egress.report.document import Run, RunInfo, report_text
from pytest_istio_egress.report.evidence_folder import EvidenceFolder, evidence_folder, taken
from pytest_istio_egress.report.html_page import page_text
from pytest_istio_egress.report.known_deviations import AcceptedDeviations
from pytest_istio_egress.report.markdown import summary_text
from pytest_istio_egress.report.results import CASE_PROPERTY, Result
from pytest_istio_egress.run_target import Prepared
from pytest_istio_egress.settings.options import Settings

NOT_WRITTEN = 3
"""The exit code of a run that found nothing wrong, but whose report could not be written."""

SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable that names the file to which a CI job's summary is appended."""

NOT_ENDED = "it has not ended, or was killed"
"""What a report says of its run from the start on: should nothing come after that, it is the truth."""

Wanted = tuple[Path | None, Callable[[Path, str], None], Callable[[Run], str]]
"""A report: its place (None: nobody asked for it), how it is put there, and its text."""

Found = Callable[[], tuple[list[Result], Prepared | None]]
"""Returns the results, and the target if it was asked."""


class ReportFiles:
    """Hooks of the process that the user started; `found` is asked once the run is over.

    `typed` are the paths and ids on the command line, before anything else was put in their place.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        known: AcceptedDeviations,
        typed: Sequence[str] | None,
        *,
        run: str,
        found: Found,
    ) -> None:
        self.config = config
        self.settings = settings
        self.accepted = known
        self.asked = None if typed is None else [argument.removeprefix("./") for argument in typed]
        self.run = run
        self.found = found
        folder = evidence_folder(settings.report, settings.html)
        self.evidence = EvidenceFolder(folder, run) if folder else None
        self.places: dict[str, str] = {}
        self.began = datetime.now(UTC)
        self.terminal = Terminal(config)
        self.lacking: list[str] = []
        self.stopped = ""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Replace an older report, before anything can end this run: it would be taken for this one's."""
        if self._only_looks():
            return
        # What is no file (a terminal, a pipe) keeps nothing of an older run, and is written to once only.
        older = [wanted for wanted in files_of(self.settings) if wanted[0] and wanted[0].is_file()]
        for problem in write_reports(Run(info=self._about(NOT_ENDED), results=[]), older):
            self.terminal.warn(f"istio-egress: {problem}")
        if self.evidence:
            self.evidence.begin()

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note what stopped the run: Ctrl-C, or a cluster that can't be asked."""
        told = str(excinfo.value)
        self.stopped = (
            f"stopped: {told}" if told and not isinstance(excinfo.value, KeyboardInterrupt) else "interrupted"
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the evidence that a report brings along, and note in all reports of that case where it lies."""
        files = taken(report)
        if files and self.evidence:
            self.places[report.nodeid] = self.evidence.write(report.nodeid, files)
        if place := self.places.get(report.nodeid):
            report.user_properties.append((CASE_PROPERTY, {"evidence": place}))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the reports, before the cluster is cleaned: whatever happens to that, the verdict is safe."""
        if self._only_looks():
            return
        found, _ = self.found()
        run = Run(info=self._about(self._why_stopped(session)), results=found)
        summary = summary_of_job() if found or run.info.stopped else []
        problems = write_reports(run, [*files_of(self.settings), *summary])
        if self.evidence and self.evidence.problem:
            problems.append(self.evidence.problem)
        for problem in problems:
            self.terminal.warn(f"istio-egress: {problem}")
        self.lacking = self.accepted.missing(found, asked=self._limits())
        if session.exitstatus == pytest.ExitCode.OK:
            if self.lacking:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            elif problems:
                session.exitstatus = NOT_WRITTEN

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what the baseline and the known deviations have to do with it, below the matrix."""
        found, _ = self.found()
        if not found:
            return
        idle = self.accepted.unused(found) if self._limits() is None else []
        now = Run(info=self._about(""), results=found)
        write_comparison(terminalreporter, self.accepted, now, lacking=self.lacking, idle=idle)

    def _only_looks(self) -> bool:
        return any(self.config.getoption(name, default=False) for name in ("collectonly", "setupplan"))

    def _why_stopped(self, session: pytest.Session) -> str:
        """Return why the run did not come to its end, empty where it did."""
        if why := self.stopped or session.shouldfail or session.shouldstop:
            return str(why)
        ended = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
        if session.exitstatus in ended:
            return ""
        name = pytest.ExitCode(session.exitstatus).name if session.exitstatus in list(pytest.ExitCode) else "exit code"
        return f"pytest ended with {name.lower().replace('_', ' ')} ({int(session.exitstatus)})"

    def _about(self, stopped: str) -> RunInfo:
        return about_run(
            self.found()[1],
            self.settings,
            run=self.run,
            began=self.began.isoformat(timespec="seconds"),
            seconds=(datetime.now(UTC) - self.began).total_seconds(),
            stopped=stopped,
            arguments=[str(argument) for argument in self.config.invocation_params.args],
        )

    def _limits(self) -> list[str] | None:
        """Return to what the user limited the run; None: to nothing, so that whatever is missing is missing."""
        option = self.config.option
        # What these leave out is known in the workers only; then no absence is a surprise.
        by_word = (option.keyword, option.markexpr, option.deselect, getattr(option, "lf", False))
        return [] if any(by_word) else self.asked


def files_of(settings: Settings) -> list[Wanted]:
    """Return the reports that are files of their own."""

    def page(run: Run) -> str:
        if settings.report is None or settings.html is None:
            return page_text(run)
        # The evidence lies beside the report; the page may lie elsewhere.
        way = os.path.relpath(settings.report.parent, settings.html.parent)
        moved = [replace(one, evidence=str(Path(way, one.evidence))) if one.evidence else one for one in run.results]
        return page_text(replace(run, results=moved))

    return [(settings.report, write_whole, report_text), (settings.html, write_whole, page)]


def summary_of_job() -> list[Wanted]:
    """Return the page to which a CI job's summary is added, where there is one."""
    page = os.environ.get(SUMMARY)
    return [(Path(page) if page else None, append, summary_text)]


def write_reports(run: Run, wanted: Iterable[Wanted]) -> list[str]:
    """Write what was asked for; return one line for each that could not be written."""
    problems = []
    for path, write, text_of in wanted:
        try:
            if path is not None:
                write(path, text_of(run))
        except NotWrittenError as error:
            problems.append(str(error))
    return problems
