"""The signals that end a run: SIGTERM is treated as Ctrl-C, and a second Ctrl-C does not end pytest half way.

So a cancelled CI job, or a deleted Job, restores the mesh and deletes what it created.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest


def interrupt_at_sigterm(config: pytest.Config) -> None:
    """Raise KeyboardInterrupt at the first SIGTERM in this process; the next ones do not disturb the cleanup."""
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread can set handlers
    before = signal.getsignal(signal.SIGTERM)

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)

    def restore() -> None:
        signal.signal(signal.SIGTERM, before)

    config.add_cleanup(restore)


@contextmanager
def noted_interrupts() -> Iterator[list[int]]:
    """Note each SIGINT in the list that it yields: KeyboardInterrupt would end pytest before its last steps."""
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = signal.signal(signal.SIGINT, lambda number, _frame: noted.append(number))
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
