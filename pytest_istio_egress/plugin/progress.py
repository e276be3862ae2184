"""Shows how far a run is: one line that moves below what pytest writes; plain lines now and then where nobody watches.

What pytest writes stays as it is. The line is drawn in the row below the cursor, and the cursor put back; before
pytest writes again, all behind the cursor is erased:

    conformance/dns/test_names.py ....|          <- the cursor, where pytest goes on
    dns 12/14 · 163 of 363 · 41 s

(rich's live display would own the terminal, and pytest's half-written lines would be lost.)
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from pytest_istio_egress.plugin.progress_line import ProgressLine
from pytest_istio_egress.plugin.terminal import Terminal

EVERY = 30.0
"""Seconds between two plain lines."""
TICK = 1.0
"""Seconds after which the moving line is drawn anew, so that its clock goes on during a long case."""

# A row is made below the cursor (scrolling where there is none), the cursor saved, the row filled, the cursor put back.
DRAW = "\x1bD\x1b[A\x1b7\x1b[B\r\x1b[2K{}\x1b8"
ERASE = "\x1b[J"


class Progress:
    """Hooks of the process that the user started. Quiet (-q) means that nothing is shown."""

    def __init__(self, config: pytest.Config, terminal: Terminal) -> None:
        self.config = config
        self.terminal = terminal
        self.tally = ProgressLine(())
        self.began = self.said = time.monotonic()
        self._screen: int | None = None
        self._encoding = sys.stdout.encoding or "ascii"
        self._lock = threading.Lock()
        self._hidden = 0
        self._ended = threading.Event()

    def begin(self, ids: Sequence[str]) -> None:
        """Start to show; these cases will be asked."""
        self.tally = ProgressLine(ids)
        self.began = self.said = time.monotonic()
        if self._moves():
            # A descriptor of our own: while a case runs, pytest has the usual one lead to its capture.
            self._screen = os.dup(sys.stdout.fileno())
            threading.Thread(target=self._tick, name="progress of the run", daemon=True).start()

    def phase(self, words: str) -> None:
        """Say what is being prepared, until the first case is over."""
        self.tally.phase = words
        with self.hidden():
            pass

    def say(self, line: str) -> None:
        """Write a line that stays."""
        with self.hidden():
            self.terminal.say(line)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Generator[None, object, object]:
        """Make room for the name of a module."""
        with self.hidden():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, object]:
        """Count, and make room for pytest's letter."""
        with self.hidden():
            answer = yield
            self.tally.report(report.nodeid, str(report.when), failed=report.failed)
        self._say_now_and_then()
        return answer

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self) -> Generator[None, object, object]:
        """Make room for pytest's percentage."""
        with self.hidden():
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Leave the terminal to the summary."""
        with self._lock:
            self._ended.set()
            if self._screen is not None:
                self._write(ERASE)
                os.close(self._screen)
                self._screen = None

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the line away for as long as somebody else writes, then draw it anew."""
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
        """Whether there is a terminal that a line can move on, and nobody who writes in between (-s, --pdb)."""
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

    def _say_now_and_then(self) -> None:
        now = time.monotonic()
        if not self._moves() and now - self.said >= EVERY:
            self.said = now
            self.terminal.say(f"istio-egress: {self.tally.line(now - self.began)}")

    def _tick(self) -> None:
        while not self._ended.wait(TICK):
            with self._lock:
                self._draw()

    def _draw(self) -> None:
        if self._screen is None or self._hidden:
            return
        with suppress(OSError):
            width = os.get_terminal_size(self._screen).columns
            self._write(DRAW.format(self.tally.line(time.monotonic() - self.began)[: width - 1]))

    def _write(self, text: str) -> None:
        if self._screen is not None:
            with suppress(OSError):  # a terminal that was closed is no reason to end the run
                os.write(self._screen, text.encode(self._encoding, "replace"))
