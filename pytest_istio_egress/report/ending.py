"""The end of a run: its reports are written, it is held against its baseline, the exit code says what came of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_istio_egress.options import Settings
from pytest_istio_egress.report.about import about_run
from pytest_istio_egress.report.conformance_report import About, Run, report_text
from pytest_istio_egress.report.html_page import page_text
from pytest_istio_egress.report.known_deviations import Known
from pytest_istio_egress.report.markdown import summary_text
from pytest_istio_egress.report.results import Result
from pytest_istio_egress.report.terminal import Terminal, write_comparison
from pytest_istio_egress.report.written import NotWrittenError, append, write_whole
from pytest_istio_egress.target import Prepared

NOT_WRITTEN = 3
"""The exit code of a run that found nothing wrong, but whose report could not be written."""

SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable that names the file to which a CI job's summary is appended."""

Found = Callable[[], tuple[list[Result], Prepared | None]]
"""Returns the results, and the target if it was asked."""


class Ending:
    """Hooks of the process that the user started; `found` is asked once the run is over.

    `typed` are the paths and ids on the command line, before anything else was put in their place.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        known: Known,
        typed: Sequence[str] | None,
        *,
        run: str,
        found: Found,
    ) -> None:
        self.config = config
        self.settings = settings
        self.known = known
        self.asked = None if typed is None else [argument.removeprefix("./") for argument in typed]
        self.run = run
        self.found = found
        self.began = datetime.now(UTC)
        self.terminal = Terminal(config)
        self.lacking: list[str] = []

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the reports, before the cluster is cleaned: whatever happens to that, the verdict is safe."""
        found, _ = self.found()
        if not found or any(self.config.getoption(name, default=False) for name in ("collectonly", "setupplan")):
            return
        problems = write_reports(self._run(found, session), self.settings)
        for problem in problems:
            self.terminal.warn(f"istio-egress: {problem}")
        self.lacking = self.known.lacking(found, asked=self._limits())
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
        idle = self.known.idle(found) if self._limits() is None else []
        now = Run(about=self._about(complete=True), results=found)
        write_comparison(terminalreporter, self.known, now, lacking=self.lacking, idle=idle)

    def _run(self, results: Sequence[Result], session: pytest.Session) -> Run:
        ended = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        return Run(
            about=self._about(complete=ended and not (session.shouldstop or session.shouldfail)), results=results
        )

    def _about(self, *, complete: bool) -> About:
        return about_run(
            self.found()[1],
            run=self.run,
            began=self.began.isoformat(timespec="seconds"),
            seconds=(datetime.now(UTC) - self.began).total_seconds(),
            complete=complete,
            arguments=[str(argument) for argument in self.config.invocation_params.args],
        )

    def _limits(self) -> list[str] | None:
        """Return to what the user limited the run; None: to nothing, so that whatever is missing is missing."""
        option = self.config.option
        # What these leave out is known in the workers only; then no absence is a surprise.
        by_word = (option.keyword, option.markexpr, option.deselect, getattr(option, "lf", False))
        return [] if any(by_word) else self.asked


def write_reports(run: Run, settings: Settings) -> list[str]:
    """Write what was asked for; return one line for each that could not be written."""
    summary = os.environ.get(SUMMARY)
    wanted = (
        (settings.report, write_whole, report_text),
        (settings.html, write_whole, page_text),
        (Path(summary) if summary else None, append, summary_text),
    )
    problems = []
    for path, write, text_of in wanted:
        try:
            if path is not None:
                write(path, text_of(run))
        except NotWrittenError as error:
            problems.append(str(error))
    return problems
