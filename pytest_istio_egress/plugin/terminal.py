"""Writes to pytest's terminal: lines while a cluster starts or is cleaned, and the summary at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import pytest

from pytest_istio_egress.report.comparison import GONE, compare_runs, environment_changes
from pytest_istio_egress.report.comparison_text import terminal_lines
from pytest_istio_egress.report.document import Run
from pytest_istio_egress.report.known_deviations import AcceptedDeviations
from pytest_istio_egress.report.matrix import ASCII, UNICODE, Line, Marks, matrix, reasons, totals
from pytest_istio_egress.report.results import Result


class Terminal:
    """pytest's terminal; without one (-p no:terminal) nothing is written."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def write(self, line: str) -> None:
        """Write one line, unless pytest is quiet (-q)."""
        if self._config.get_verbosity() >= 0:
            self._write(line)

    def write_header(self, line: str) -> None:
        """Write one line of the header, unless pytest shows none (--no-header)."""
        # The option is the terminal plugin's own, which -p no:terminal leaves out.
        if not self._config.getoption("no_header", default=False):
            self.write(line)

    def warn(self, line: str) -> None:
        """Write one line that must not be overlooked, with -q too."""
        self._write(line, red=True)

    def _write(self, line: str, **markup: bool) -> None:
        reporter: pytest.TerminalReporter | None = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None and self._config.get_verbosity() > -2:
            reporter.ensure_newline()
            writer = self._config.get_terminal_writer()
            if writer.width_of_current_line:  # letters written by xdist, not by the reporter
                writer.line()
            reporter.write_line(line, **markup)
            reporter.flush()


def write_summary(reporter: pytest.TerminalReporter, results: list[Result], seconds: float) -> None:
    """Write the matrix, the reasons of skips (unless pytest lists them: -rs), and the totals."""
    width = reporter.config.get_terminal_writer().fullwidth
    reporter.write_sep("=", "istio egress", bold=True)
    _write_lines(reporter, matrix(results, width=width, marks=_marks()))
    if not reporter.hasopt("s"):
        _write_lines(reporter, reasons(results, width=width))
    _write_lines(reporter, [totals(results, seconds)])


def write_comparison(
    reporter: pytest.TerminalReporter,
    accepted: AcceptedDeviations,
    now: Run,
    *,
    missing: Iterable[str],
    unused: Iterable[str],
) -> None:
    """Write the comparison with the baseline, the gaps in it, and the unused entries of known deviations."""
    if accepted.baseline:
        reporter.write_sep("=", f"compared with {accepted.baseline_name}", bold=True)
        width = reporter.config.get_terminal_writer().fullwidth
        # What is missing in this run follows below, where it counts as a failure; the rest was deselected on purpose.
        changes = [change for change in compare_runs(accepted.baseline, now) if change.kind != GONE]
        for line in terminal_lines(changes, environment_changes(accepted.baseline, now), width):
            reporter.write_line(line)
    for line in missing:
        reporter.write_line(f"missing: {line}", red=True)
    for line in unused:
        reporter.write_line(f"istio-egress: {line}", yellow=True)


def _write_lines(reporter: pytest.TerminalReporter, lines: Iterable[Line]) -> None:
    for line in lines:
        for piece in line:
            reporter.write(piece.text, **({piece.style: True} if piece.style else {}))
        reporter.line("")


def _marks() -> Marks:
    """Return marks that the terminal's encoding can express."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        "".join(UNICODE).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE
