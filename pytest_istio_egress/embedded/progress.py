"""Shows the progress of building and starting a cluster: live on a terminal, as plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, TextIO

from pytest_istio_egress.embedded.estimate import Estimate, minutes

EVERY = 15.0  # seconds between plain lines about a step that takes long
TICK = 1.0  # seconds between two changes of a line that moves


class Progress(Protocol):
    """The events of building and starting a cluster. Calls come from several threads."""

    def expect(self, steps: int) -> None:
        """Announce `steps` more steps, before the first of them starts."""

    def builds(self, recorded: Mapping[str, float]) -> None:
        """Announce the steps that build something, with the seconds that they took where they were recorded."""

    def started(self, step: str) -> None:
        """`step` has started."""

    def moved(self, step: str, detail: str, share: float = 0.0) -> None:
        """`step` has progressed: `detail` says how far, such as '120 packages compiled', `share` how much is done."""

    def finished(self, step: str, how: str) -> None:
        """`step` has finished; `how` is one word: cached, built, fetched, ready."""

    def note(self, text: str) -> None:
        """Show one sentence to the user."""


class Silent:
    """Shows nothing."""

    def expect(self, steps: int) -> None: ...
    def builds(self, recorded: Mapping[str, float]) -> None: ...
    def started(self, step: str) -> None: ...
    def moved(self, step: str, detail: str, share: float = 0.0) -> None: ...
    def finished(self, step: str, how: str) -> None: ...
    def note(self, text: str) -> None: ...


class Lines:
    """Plain lines: one per finished step, and one every 15 s for the steps in progress.

    `write` takes one line without its newline. With `show`, which replaces a line that it showed before, the steps in
    progress are shown there instead. Use it as a context manager: its thread ends with the block.
    """

    def __init__(self, write: Callable[[str], object], show: Callable[[str], object] | None = None) -> None:
        self._write = write
        self._show = show
        self._lock = threading.Lock()
        self._running: dict[str, tuple[float, str]] = {}
        self._total = self._done = 0
        self._estimate = Estimate({})
        self._ended = threading.Event()

    def __enter__(self) -> Lines:
        threading.Thread(target=self._tick, daemon=True, name="progress").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()

    def expect(self, steps: int) -> None:
        with self._lock:
            self._total += steps

    def builds(self, recorded: Mapping[str, float]) -> None:
        with self._lock:
            self._estimate = Estimate(recorded)
            if recorded:
                whole = minutes(sum(recorded.values()))
                self._write(
                    f"building parts of the embedded cluster, for the first time only: about {whole} by figures "
                    "recorded on two cores; later starts take seconds"
                )

    def started(self, step: str) -> None:
        with self._lock:
            self._running[step] = (time.monotonic(), "")

    def moved(self, step: str, detail: str, share: float = 0.0) -> None:
        with self._lock:
            begun, _ = self._running.get(step, (time.monotonic(), ""))
            self._running[step] = (begun, detail)
            self._estimate.moved(step, share)

    def finished(self, step: str, how: str) -> None:
        with self._lock:
            begun, _ = self._running.pop(step, (time.monotonic(), ""))
            self._done += 1
            self._estimate.finished(step)
            taken = "" if how == "cached" else f" in {clock(time.monotonic() - begun)}"
            self._write(f"[{self._done}/{self._total}] {step}: {how}{taken}")

    def note(self, text: str) -> None:
        with self._lock:
            self._write(text)

    @property
    def left(self) -> str:
        """Return the estimate of what is left to build, such as 'about 6 min left'."""
        with self._lock:
            return self._estimate.text

    def _tick(self) -> None:
        while not self._ended.wait(TICK if self._show else EVERY):
            with self._lock:
                # What takes long comes first: where there is room for one line, it is the one to see.
                steps = sorted(self._running, key=self._estimate.counts, reverse=True)
                lines = [self._line(step, *self._running[step]) for step in steps]
            if self._show and lines:
                self._show(lines[0])
            elif not self._show:
                for line in lines:
                    self._write(line)

    def _line(self, step: str, begun: float, detail: str) -> str:
        parts = (clock(time.monotonic() - begun), detail, self._estimate.text)
        return f"[{self._done}/{self._total}] {step}: {', '.join(part for part in parts if part)}"


class Live:
    """The same on a terminal: finished steps stay as lines, those in progress move below them."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import Progress as Bars
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", style="cyan"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}", style="dim"),
            console=Console(file=stream),
            transient=True,
        )
        self._lines = Lines(self._bars.console.print)
        self._tasks: dict[str, object] = {}

    def __enter__(self) -> Live:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def expect(self, steps: int) -> None:
        self._lines.expect(steps)

    def builds(self, recorded: Mapping[str, float]) -> None:
        self._lines.builds(recorded)

    def started(self, step: str) -> None:
        self._lines.started(step)
        self._tasks[step] = self._bars.add_task(step, total=None, detail="")

    def moved(self, step: str, detail: str, share: float = 0.0) -> None:
        self._lines.moved(step, detail, share)
        if step in self._tasks:
            shown = ", ".join(part for part in (detail, self._lines.left) if part)
            self._bars.update(self._tasks[step], detail=shown)  # type: ignore[arg-type]  # rich's TaskID is an int

    def finished(self, step: str, how: str) -> None:
        if step in self._tasks:
            self._bars.remove_task(self._tasks.pop(step))  # type: ignore[arg-type]  # rich's TaskID is an int
        self._lines.finished(step, how)

    def note(self, text: str) -> None:
        self._lines.note(text)


def progress_on(stream: TextIO = sys.stderr) -> Lines | Live:
    """Return the display that suits `stream`: live on a terminal, lines elsewhere. Enter it as a context."""
    if stream.isatty():
        return Live(stream)

    def write(line: str) -> None:
        stream.write(line + "\n")
        stream.flush()

    return Lines(write)


def clock(seconds: float) -> str:
    """Show a duration: 4.2 s, 3 min 05 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
