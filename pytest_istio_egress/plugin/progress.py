"""Shows the progress of a run: a line that moves below pytest's output; without a terminal, a plain line now and then.

pytest's output stays as it is. The line is drawn in the row below the cursor, and the cursor put back; before pytest
writes again, everything behind the cursor is erased:

    conformance/dns/test_names.py ....|          <- the cursor, where pytest continues
    dns 12/14 · 163 of 363 · 41 s

(rich's live display would own the terminal, and pytest's half-written lines would be lost.)
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from pytest_istio_egress.plugin.progress_line import ProgressLine
from pytest_istio_egress.plugin.terminal import Terminal

EVERY = 30.0
"""Seconds between two plain lines."""
TICK = 1.0
"""Seconds after which the moving line is redrawn, so that its clock goes on during a long test."""

# Make a row below the cursor (scrolling where there is none), save the cursor, fill the row, put the cursor back.
DRAW = "\x1bD\x1b[A\x1b7\x1b[B\r\x1b[2K{}\x1b8"
ERASE = "\x1b[J"
CYAN, PLAIN = "\x1b[36m", "\x1b[0m"


class Progress:
    """Hooks of the process that the user started. With -q nothing is shown."""

    def __init__(self, config: pytest.Config, terminal: Terminal) -> None:
        self.config = config
        self.terminal = terminal
        self.counts = ProgressLine(())
        self.began = self.written = time.monotonic()
        self._screen: int | None = None
        self._encoding = sys.stdout.encoding or "ascii"
        self._lock = threading.Lock()
        self._hidden = 0
        self._ended = threading.Event()

    def begin(self, ids: Sequence[str]) -> None:
        """Start to show the progress of these parameters."""
        self.counts = ProgressLine(ids)
        self.began = self.written = time.monotonic()
        if self._moves():
            # A separate descriptor: while a test runs, pytest redirects the usual one to its capture.
            self._screen = os.dup(sys.stdout.fileno())
            threading.Thread(target=self._tick, name="progress of the run", daemon=True).start()

    def phase(self, name: str) -> None:
        """Show what is being prepared, until the first test is over."""
        self.counts.phase, self.counts.starting = name, ""
        with self.hidden():
            pass

    @property
    def show_start(self) -> Callable[[str], None] | None:
        """Return what shows how far the start of the embedded cluster is, until the next phase; None: no line moves."""
        return self._show_start if self._moves() else None

    def _show_start(self, text: str) -> None:
        self.counts.starting = text
        with self.hidden():
            pass

    def write(self, line: str) -> None:
        """Write a line that stays."""
        with self.hidden():
            self.terminal.write(line)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Generator[None, object, object]:
        """Hide while pytest writes the name of a module."""
        with self.hidden():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, object]:
        """Count, and hide while pytest writes its letter."""
        with self.hidden():
            result = yield
            self.counts.report(report.nodeid, str(report.when), failed=report.failed)
        self._write_now_and_then()
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self) -> Generator[None, object, object]:
        """Hide while pytest writes its percentage."""
        with self.hidden():
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Remove the line before the summary."""
        with self._lock:
            self._ended.set()
            if self._screen is not None:
                self._write(ERASE)
                os.close(self._screen)
                self._screen = None

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Hide the line while something else is written, then redraw it."""
        with self._lock:
            self._hidden += 1
            self._write(ERASE)
        try:
            yield
        finally:
            with self._lock:
                self._hidden -= 1
                self._draw()

    def _moves(self) -> bool:
        """Whether there is a terminal for a moving line, and no test writes to it (-s, --pdb)."""
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        option = self.config.option
        return (
            reporter is not None
            and reporter.isatty
            and self.config.get_verbosity() >= 0
            and option.capture != "no"
            and not option.usepdb
            and os.environ.get("TERM", "dumb") != "dumb"
        )

    def _write_now_and_then(self) -> None:
        now = time.monotonic()
        if not self._moves() and now - self.written >= EVERY:
            self.written = now
            self.terminal.write(f"istio-egress: {self.counts.line(now - self.began)}")

    def _tick(self) -> None:
        while not self._ended.wait(TICK):
            with self._lock:
                self._draw()

    def _draw(self) -> None:
        if self._screen is None or self._hidden:
            return
        with suppress(OSError):
            width = os.get_terminal_size(self._screen).columns
            line = self.counts.line(time.monotonic() - self.began)[: width - 1]
            if self.counts.starting and self.config.get_terminal_writer().hasmarkup:
                line = f"{CYAN}{line}{PLAIN}"
            self._write(DRAW.format(line))

    def _write(self, text: str) -> None:
        if self._screen is not None:
            with suppress(OSError):  # a closed terminal does not end the run
                os.write(self._screen, text.encode(self._encoding, "replace"))
