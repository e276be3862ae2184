"""Runs commands one after the other in a shell that stays open in a client's pod.

An exec of its own costs a command some 60 ms in the API server, the kubelet and the container runtime; curl needs 5.
The shell reads a command from each line of its input, and tells on both output streams where that of the command ends:

    stdin    curl --silent ... 'http://api.k3x9q.test/'
    stdout   <output> <mark> <exit code>
    stderr   <output> <mark>
"""

from __future__ import annotations

import re
import secrets
import shlex
import time
from collections.abc import Sequence
from typing import Any, cast

from websocket import WebSocketException

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.exec_connection import (
    STATUS,
    CommandResult,
    GoneError,
    LostError,
    NotEndedError,
    connect,
    failed_start,
)
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.model.text import one_line

_LOOP = """\
newline='
'
while IFS= read -r line; do
  (eval "$line") </dev/null
  code=$?
  printf '%s %d\\n' "$0" "$code"
  printf '%s\\n' "$0" >&2
done
"""
"""$0 is the mark."""


class NoShellError(ClusterError):
    """No shell can be started in the container: it has none, or the cluster refuses an exec with an input."""


class Shell:
    """One shell, for one thread at a time."""

    def __init__(self, api: Api, pod: Pod) -> None:
        self._pod = pod
        self._mark = secrets.token_hex(16)
        command = ["sh", "-c", _LOOP, self._mark]
        self._socket = connect(api, pod, command, pod.container, api.timeouts.command, stdin=True)

    def run(self, command: Sequence[str], timeout: float) -> CommandResult:
        """Run a command for up to `timeout` seconds; after an error the shell is of no more use.

        Raises NotEndedError, LostError, or NoShellError where the shell itself could not be started.
        """
        lost = f"the connection to the API server was lost while {command[0]} ran in {self._pod}"
        try:
            self._socket.write_stdin(line_of(command))
            return self._result(command[0], time.monotonic() + timeout, timeout)
        except (WebSocketException, OSError) as error:
            raise LostError(f"{lost}: {one_line(error)}") from error
        except EOFError as error:
            if why := failed_start(self._socket.read_channel(STATUS)):
                raise NoShellError(why) from error
            raise LostError(lost) from error

    def _result(self, program: str, deadline: float, timeout: float) -> CommandResult:
        stdout, stderr = _Stream(self._mark), _Stream(self._mark)
        for stream, read in ((stdout, self._socket.read_stdout), (stderr, self._socket.read_stderr)):
            while not stream.is_complete:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise NotEndedError(f"{program} in {self._pod} did not end within {timeout:g} s")
                # What came of the other stream meanwhile stays in the client's buffer: a wait for the connection,
                # and not for this stream, would wait for more although everything has arrived.
                part = read(timeout=remaining)
                if not part and not self._socket.is_open():
                    raise EOFError
                stream.add(part)
        return CommandResult(stdout.text, stderr.text, stdout.code)

    def close(self) -> None:
        """End the shell."""
        self._socket.close()


class _Stream:
    """What came of an output stream, up to the mark."""

    def __init__(self, mark: str) -> None:
        self._end = re.compile(rf"{mark}(?: (\d+))?\n\Z")
        self._parts: list[str] = []
        self._tail = ""
        self._longest = len(mark) + 8

    def add(self, part: str | None) -> None:
        if part:
            self._parts.append(part)
            self._tail = (self._tail + part)[-self._longest :]

    @property
    def is_complete(self) -> bool:
        return self._end.search(self._tail) is not None

    @property
    def text(self) -> str:
        return self._end.sub("", "".join(self._parts))

    @property
    def code(self) -> int | None:
        end = self._end.search(self._tail)
        return int(end[1]) if end and end[1] else None


def line_of(command: Sequence[str]) -> str:
    """Return a command as one line that the shell evaluates; line breaks become its variable `newline`."""
    return shlex.join(command).replace("\n", "'\"$newline\"'") + "\n"


def _started(api: Api, pod: Pod) -> Shell:
    """Start a shell; a policy may refuse an exec with an input, and let commands without one pass."""
    try:
        return Shell(api, pod)
    except (GoneError, LostError):
        raise
    except ClusterError as error:
        api.idle_shells.impossible.add(pod.uid)
        raise NoShellError(str(error)) from error


def run_in_shell(api: Api, pod: Pod, command: Sequence[str], timeout: float) -> CommandResult:
    """Run a command in a shell of the pod that waits, or in a new one.

    Raises NoShellError where none can be started, else as `commands.run` does.
    """
    shell = cast(Any, api.idle_shells.take(pod.uid)) or _started(api, pod)
    try:
        result: CommandResult = shell.run(command, timeout)
    except NoShellError:
        api.idle_shells.impossible.add(pod.uid)
        raise
    except BaseException:
        shell.close()
        raise
    api.idle_shells.give_back(pod.uid, shell)
    return result
