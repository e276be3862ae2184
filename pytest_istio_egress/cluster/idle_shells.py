"""The shells in clients' pods that wait for their next command."""

from __future__ import annotations

import threading
import time
from typing import Protocol

LONGEST_IDLE = 15.0
"""Seconds after which a shell is not used again: what is between here and the pod may drop an idle connection without
a word, and a command would wait for its end in vain."""


class IdleShell(Protocol):
    """A shell that can be used again, or closed."""

    def close(self) -> None:
        """End it."""
        ...


class IdleShells:
    """Shells by the uid of their pods, safe to use from many threads; each is used by one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[str, list[tuple[float, IdleShell]]] = {}
        self.impossible: set[str] = set()
        """The uids of pods in which no shell can be started."""

    def take(self, uid: str) -> IdleShell | None:
        """Return the shell of a pod that was used last, None where none waits; those that waited too long are ended."""
        now = time.monotonic()
        with self._lock:
            waiting = self._idle.pop(uid, [])
            fresh = [each for each in waiting if each[0] > now - LONGEST_IDLE]
            taken = fresh.pop()[1] if fresh else None
            if fresh:
                self._idle[uid] = fresh
        for since, shell in waiting:
            if since <= now - LONGEST_IDLE:
                shell.close()
        return taken

    def give_back(self, uid: str, shell: IdleShell) -> None:
        """Let others use a shell whose command has ended."""
        with self._lock:
            self._idle.setdefault(uid, []).append((time.monotonic(), shell))

    def close(self) -> None:
        """End all shells that wait."""
        with self._lock:
            waiting, self._idle = self._idle, {}
        for shells in waiting.values():
            for _, shell in shells:
                shell.close()
