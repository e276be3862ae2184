"""Writes to pytest's terminal: progress while a cluster starts or is cleaned, and the summary at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import pytest

from pytest_istio_egress.report.matrix import ASCII, UNICODE, Line, Marks, matrix, reasons, totals
from pytest_istio_egress.report.results import Result


class Terminal:
    """pytest's terminal, or nothing where it is switched off."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def say(self, line: str) -> None:
        """Write one line of its own."""
        self._write(line)

    def warn(self, line: str) -> None:
        """Write one line that must not be overlooked."""
        self._write(line, red=True)

    def _write(self, line: str, **markup: bool) -> None:
        reporter: pytest.TerminalReporter | None = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None and self._config.get_verbosity() > -2:
            reporter.ensure_newline()
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
