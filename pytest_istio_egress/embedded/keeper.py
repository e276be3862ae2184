"""Supervises one cluster: starts its namespaces, follows its events, and cleans up when it ends.

It runs in a new session, without a terminal. There are two processes: this one, and a second one that cleans up if
this one is killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from pytest_istio_egress.embedded.cgroups import enter_cgroups, make_cgroups, remove_cgroups
from pytest_istio_egress.embedded.isolation import isolated
from pytest_istio_egress.embedded.node_plan import NodePlan
from pytest_istio_egress.embedded.state import State

STOPPED = "it was stopped"
CALLER_ENDED = "the process that started it ended"
"""Reasons for an end that is no failure: nothing of the cluster is kept."""


class Keeper:
    """`caller` is a pidfd of the process that started the cluster; with `tied` the cluster ends with that process."""

    def __init__(self, state: State, caller: int, *, tied: bool) -> None:
        self._state = state
        self._cgroups = NodePlan.read(state.folder).cgroups
        self._caller = caller
        self._tied = tied
        self._why = ""
        self._log = ""

    def keep(self, listener: int) -> None:
        """Run the cluster until it ends, for any reason, and clean up."""
        wake, woken = os.pipe()
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGTERM, lambda *_: None)
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        make_cgroups(self._cgroups)
        node = self._spawn(listener)
        os.close(listener)
        try:
            self._follow(node, wake)
        finally:
            node.kill()
            node.wait()
            clear_up(self._state, self._cgroups, self._why, self._log)
            self._tell({"event": "ended", "message": self._why, "log": self._log})

    def _spawn(self, listener: int) -> subprocess.Popen[bytes]:
        node = [sys.executable, "-m", "pytest_istio_egress.embedded.node", str(self._state.folder), str(listener)]
        return subprocess.Popen(
            isolated(*node, also=("--cgroup",)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            pass_fds=[listener],
            bufsize=0,
            # Safe here: this process has one thread. It has to be in the cgroups when `unshare` makes their namespace.
            preexec_fn=lambda: enter_cgroups(self._cgroups),  # noqa: PLW1509  # see above
        )

    def _follow(self, node: subprocess.Popen[bytes], wake: int) -> None:
        """Forward the node's events until the node ends, the caller ends, or SIGTERM arrives."""
        assert node.stdout is not None
        events = node.stdout.fileno()
        buffer = b""
        with selectors.DefaultSelector() as selector:
            for descriptor in (events, wake, self._caller):
                selector.register(descriptor, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if wake in ready:
                    self._why = STOPPED
                    return
                if events in ready:
                    data = os.read(events, 1 << 16)
                    *lines, buffer = (buffer + data).split(b"\n")
                    for line in lines:
                        self._event(json.loads(line), selector)
                    if not data:
                        self._why = self._why or "the process of the node was killed"
                        return
                if self._caller in ready and self._caller in {key.fd for key in selector.get_map().values()}:
                    self._why = CALLER_ENDED
                    return

    def _event(self, event: dict[str, str], selector: selectors.BaseSelector) -> None:
        if event["event"] == "failed":
            self._why, self._log = event["message"], event["log"]
            return
        if event["event"] == "ready":
            if not self._tied:
                selector.unregister(self._caller)
            if record := self._state.record():
                self._state.write(dataclasses.replace(record, phase="ready"))
        self._tell(event)

    def _tell(self, event: dict[str, str]) -> None:
        """Send an event to the caller, if it still reads them."""
        with contextlib.suppress(OSError):
            os.write(1, json.dumps(event).encode() + b"\n")


def clear_up(state: State, cgroups: Iterable[Path], why: str, log: str) -> None:
    """Remove everything that outlives the namespaces. A second call has no effect."""
    remove_cgroups(cgroups)
    record = state.record()
    if record is None or why in {STOPPED, CALLER_ENDED}:
        state.remove()
        return
    if record.phase == "ended":
        return
    state.write(dataclasses.replace(record, phase="ended", why=f"{why}\n{log}".strip()))
    state.keep_logs_only()


def sweep_after(keeper: int, state: State) -> None:
    """Wait for the end of the keeper, and clean up if it could not."""
    cgroups = NodePlan.read(state.folder).cgroups
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    with selectors.DefaultSelector() as selector:
        selector.register(keeper, selectors.EVENT_READ)
        selector.select()
    record = state.record()
    if state.folder.is_dir() and (record is None or (record.phase != "ended" and not record.alive)):
        clear_up(state, cgroups, "its supervisor process was killed", "")


def main(folder: str, listener: str, caller: str, tied: str) -> int:
    """Fork the process that cleans up, then supervise the cluster whose state is in `folder`."""
    path = Path(folder)
    state = State(path.name, path.parent)
    keeper = os.pidfd_open(os.getpid())
    if os.fork() == 0:
        os.setsid()
        os.close(int(listener))
        os.close(int(caller))
        quiet = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1):
            os.dup2(quiet, descriptor)
        sweep_after(keeper, state)
        os._exit(0)
    Keeper(state, int(caller), tied=tied == "tied").keep(int(listener))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
