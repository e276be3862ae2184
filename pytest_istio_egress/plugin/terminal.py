"""Writes to pytest's terminal: progress while a cluster starts or is cleaned, and the summary at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import pytest

from pytest_istio_egress.report.comparison import GONE, compare_runs, differences_about
from pytest_istio_egress.report.comparison_text import terminal_lines
from pytest_istio_egress.report.document import Run
from pytest_istio_egress.report.known_deviations import AcceptedDeviations
from pytest_istio_egress.report.matrix import ASCII, UNICODE, Line, Marks, matrix, reasons, totals
from pytest_istio_egress.report.results import Result


class Terminal:
    """pytest's terminal, or nothing where it is switched off."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def say(self, line: str) -> None:
        """Write one line of its own, unless pytest is to be quiet (-q)."""
        if self._config.get_verbosity() >= 0:
            self._write(line)

    def head(self, line: str) -> None:
        """Write one line about what will be asked, unless pytest shows no header."""
        # The option is the terminal plugin's own, which -p no:terminal leaves out.
        if not self._config.getoption("no_header", default=False):
            self.say(line)

    def warn(self, line: str) -> None:
        """Write one line that must not be overlooked."""
        self._write(line, red=True)

    def _write(self, line: str, **markup: bool) -> None:
        reporter: pytest.TerminalReporter | None = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None and self._config.get_verbosity() > -2:
            reporter.ensure_newline()
            writer = self._config.get_terminal_writer()
            if writer.width_of_current_line:  # xdist's letters, of which pytest knows nothing
                writer.line()
            reporter.write_line(line, **markup)
            reporter.flush()


def write_summary(reporter: pytest.TerminalReporter, results: list[Result], seconds: float) -> None:
    """Write the matrix, why cases could not be asked (unless pytest was told to list that), and the totals."""
    width = reporter.config.get_terminal_writer().fullwidth
    reporter.write_sep("=", "istio egress", bold=True)
    _write_lines(reporter, matrix(results, width=width, marks=_marks()))
    if not reporter.hasopt("s"):
        _write_lines(reporter, reasons(results, width=width))
    _write_lines(reporter, [totals(results, seconds)])


def write_comparison(
    reporter: pytest.TerminalReporter,
    known: AcceptedDeviations,
    now: Run,
    *,
    lacking: Iterable[str],
    idle: Iterable[str],
) -> None:
    """Write how the run compares with its baseline, what of that is missing, and which known deviations are idle."""
    if known.baseline:
        reporter.write_sep("=", f"compared with {known.baseline_name}", bold=True)
        width = reporter.config.get_terminal_writer().fullwidth
        # What this run lacks is told below, where it counts as a failure; what was left out on purpose is no news.
        changes = [change for change in compare_runs(known.baseline, now) if change.kind != GONE]
        for line in terminal_lines(changes, differences_about(known.baseline, now), width):
            reporter.write_line(line)
    for line in lacking:
        reporter.write_line(f"missing: {line}", red=True)
    for line in idle:
        reporter.write_line(f"istio-egress: {line}", yellow=True)


def _write_lines(reporter: pytest.TerminalReporter, lines: Iterable[Line]) -> None:
    for line in lines:
        for piece in line:
            reporter.write(piece.text, **({piece.style: True} if piece.style else {}))
        reporter.line("")


def _marks() -> Marks:
    """Choose marks that the terminal's encoding has."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        "".join(UNICODE).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE
