"""A shell that stays open in a client's pod: what it is sent, what it answers, and when it is not used again."""

from __future__ import annotations

import io
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from types import SimpleNamespace
from typing import Any, cast

import pytest
from websocket import WebSocketException

from pytest_istio_egress.cluster import commands, idle_shells, shell
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.commands import run
from pytest_istio_egress.cluster.exec_connection import CommandResult, GoneError, LostError, NotEndedError
from pytest_istio_egress.cluster.idle_shells import LONGEST_IDLE, IdleShells
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.model.timeouts import Timeouts

POD = Pod(namespace="here", name="sleep-1", uid="1", address="10.0.0.1", injected=True, container="curl")
CLIENT = replace(POD, keeps_shell=True)
QUOTED = """it's|$HOME `x` "b" \\n|two\nlines\n|"""


def new_api() -> Api:
    return cast(Api, SimpleNamespace(timeouts=Timeouts(api=5.0), idle_shells=IdleShells()))


class LocalSocket:
    """The streams of a real process on this machine, in the form of the Kubernetes client's WebSocket."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            start_new_session=True,
        )  # fmt: skip
        self._received: queue.Queue[tuple[int, bytes]] = queue.Queue()
        self._read: dict[int, bytes] = {}
        self.closed = self._ended = False
        streams = ((1, self._process.stdout), (2, self._process.stderr))
        self._receivers = [threading.Thread(target=self._receive, args=each, daemon=True) for each in streams]
        for receiver in self._receivers:
            receiver.start()

    def _receive(self, channel: int, stream: io.RawIOBase) -> None:
        while part := stream.read(700):  # an output may come in many parts
            self._received.put((channel, part))
        self._received.put((channel, b""))  # the end of the connection is seen at once

    def write_stdin(self, text: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(text.encode())

    def update(self, timeout: float) -> None:
        try:
            channel, part = self._received.get(timeout=timeout)
        except queue.Empty:
            return
        self._ended = self._ended or not part
        self._read[channel] = self._read.get(channel, b"") + part

    def read_stdout(self, timeout: float) -> str:
        return self._read_or_wait(1, timeout)

    def read_stderr(self, timeout: float) -> str:
        return self._read_or_wait(2, timeout)

    def _read_or_wait(self, channel: int, timeout: float) -> str:
        """As the Kubernetes client does it: a wait is for any stream, and only where this one has nothing."""
        if channel not in self._read:
            self.update(timeout)
        return self._read.pop(channel, b"").decode()

    def read_channel(self, channel: int) -> str:
        assert channel == 3
        return ""

    def is_open(self) -> bool:
        return not self.closed and not self._ended

    def close(self) -> None:
        self.closed = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # its command, too
        self._process.wait()
        for each in self._receivers:
            each.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream
            with suppress(BrokenPipeError):
                stream.close()


class ScriptedSocket(LocalSocket):
    """Parts of the streams in the order in which they arrive; each wait ends with the next ones."""

    def __init__(self, arrivals: Sequence[dict[int, str]]) -> None:
        self._arrivals = [*arrivals]
        self._read = {}
        self.closed = self._ended = False

    def write_stdin(self, text: str) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def update(self, timeout: float) -> None:
        assert self._arrivals or timeout == 0, "waits although everything has arrived"
        for channel, text in (self._arrivals.pop(0) if self._arrivals else {}).items():
            self._read[channel] = self._read.get(channel, b"") + text.encode()


@pytest.mark.parametrize(
    "arrivals",
    [
        [{1: "a\n"}, {2: "MARK\n", 1: "MARK 0\n"}],
        [{1: "a\n"}, {}, {2: "MARK\n", 1: "MARK 0\n"}],
        [{2: "MARK\n"}, {1: "a\nMARK 0\n"}],
        [{1: "a\nMA", 2: "MA"}, {2: "RK\n"}, {1: "RK 0\n"}],
        [{1: "a\nMARK 0\n"}, {2: "MARK\n"}],
    ],
)
def test_streams_that_arrive_in_any_order_are_not_waited_for_again(
    arrivals: Sequence[dict[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(_: Api, __: Pod, command: Sequence[str], *___: object, **____: object) -> ScriptedSocket:
        halves = (("MA", command[-1][:16]), ("RK", command[-1][16:]))
        return ScriptedSocket(
            [
                {key: reduce(lambda now, half: now.replace(*half), halves, text) for key, text in each.items()}
                for each in arrivals
            ]
        )

    monkeypatch.setattr(shell, "connect", connect)
    assert run(new_api(), CLIENT, ["echo", "a"], timeout=5.0) == CommandResult("a\n", "", 0)


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[LocalSocket]]:
    """The shells that were started, each a process on this machine."""
    started: list[LocalSocket] = []

    def connect(_: Api, __: Pod, command: Sequence[str], *___: object, stdin: bool) -> LocalSocket:
        assert stdin
        started.append(LocalSocket(command))
        return started[-1]

    monkeypatch.setattr(shell, "connect", connect)
    yield started
    for each in started:
        if not each.closed:
            each.close()


@pytest.mark.parametrize(
    ("command", "result"),
    [
        (["echo", "a"], CommandResult("a\n", "", 0)),
        (["printf", "%s|", "it's", '$HOME `x` "b" \\n', "two\nlines\n"], CommandResult(QUOTED, "", 0)),
        (["sh", "-c", "printf out; printf err >&2; exit 9"], CommandResult("out", "err", 9)),
        (["exit", "7"], CommandResult("", "", 7)),
        (["cat"], CommandResult("", "", 0)),
        (["head", "-c", "100000", "/dev/zero"], CommandResult("\0" * 100000, "", 0)),
    ],
)  # fmt: skip
def test_result_is_that_of_the_command_alone(
    sockets: list[LocalSocket], command: list[str], result: CommandResult
) -> None:
    api = new_api()
    for _ in range(2):
        assert run(api, CLIENT, command, timeout=30) == result
    assert len(sockets) == 1


def test_commands_side_by_side_have_a_shell_each_which_is_used_again(sockets: list[LocalSocket]) -> None:
    api = new_api()
    rounds = [threading.Thread(target=run, args=(api, CLIENT, ["sleep", "0.3"])) for _ in range(3)]
    for each in rounds:
        each.start()
    for each in rounds:
        each.join()
    assert len(sockets) == 3
    run(api, CLIENT, ["true"])
    assert len(sockets) == 3
    api.idle_shells.close()
    assert all(each.closed for each in sockets)


def test_shell_whose_command_does_not_end_is_closed(sockets: list[LocalSocket]) -> None:
    api = new_api()
    with pytest.raises(NotEndedError, match=r"sleep in sleep-1 -n here did not end within 0\.2 s"):
        run(api, CLIENT, ["sleep", "30"], timeout=0.2)
    assert sockets[0].closed
    assert run(api, CLIENT, ["echo", "a"]).stdout == "a\n"
    assert len(sockets) == 2


def test_shell_that_waited_too_long_is_closed_and_not_used_again(
    sockets: list[LocalSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    api, now = new_api(), 100.0
    monkeypatch.setattr(idle_shells, "time", SimpleNamespace(monotonic=lambda: now))
    run(api, CLIENT, ["true"])
    now += LONGEST_IDLE - 1
    run(api, CLIENT, ["true"])
    now += LONGEST_IDLE + 1
    run(api, CLIENT, ["true"])
    assert [each.closed for each in sockets] == [True, False]


def test_command_is_run_again_where_its_shell_was_lost(sockets: list[LocalSocket]) -> None:
    api = new_api()
    run(api, CLIENT, ["true"])
    sockets[0]._process.kill()
    assert run(api, CLIENT, ["echo", "a"]).stdout == "a\n"
    assert len(sockets) == 2


class BrokenSocket:
    """A connection that breaks at the first command; `status` is what Kubernetes sent before."""

    def __init__(self, status: str = "", error: Exception | None = None) -> None:
        self.status = status
        self.error = error

    def write_stdin(self, _: str) -> None:
        if self.error:
            raise self.error

    def is_open(self) -> bool:
        return False

    def read_stdout(self, timeout: float) -> str:  # noqa: ARG002  # the client's own signature
        return ""

    read_stderr = read_stdout

    def read_channel(self, _: int) -> str:
        return self.status

    def close(self) -> None: ...


@pytest.mark.parametrize("socket", [BrokenSocket(), BrokenSocket(error=WebSocketException("closed"))])
def test_broken_connection_is_a_lost_one(monkeypatch: pytest.MonkeyPatch, socket: BrokenSocket) -> None:
    monkeypatch.setattr(shell, "connect", lambda *_, **__: socket)
    with pytest.raises(LostError, match="was lost while curl ran in sleep-1 -n here"):
        shell.run_in_shell(new_api(), CLIENT, ["curl"], 1.0)


def test_container_without_a_shell_runs_the_command_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    status = '{"status": "Failure", "message": "exec: \\"sh\\": executable file not found in $PATH"}'
    monkeypatch.setattr(shell, "connect", lambda *_, **__: BrokenSocket(status))
    monkeypatch.setattr(commands, "_run_alone", lambda *_: CommandResult("alone", "", 0))
    assert run(new_api(), CLIENT, ["curl"]).stdout == "alone"


def test_exec_with_an_input_that_a_policy_refuses_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bool] = []

    def refuse(*_: Any, stdin: bool) -> Any:
        tried.append(stdin)
        raise ClusterError("exec in sleep-1 failed: admission webhook denied the request")

    monkeypatch.setattr(shell, "connect", refuse)
    monkeypatch.setattr(commands, "_run_alone", lambda *_: CommandResult("alone", "", 0))
    api = new_api()
    assert [run(api, CLIENT, ["curl"]).stdout for _ in range(3)] == ["alone"] * 3
    assert tried == [True]


@pytest.mark.parametrize(("pod", "container"), [(POD, None), (CLIENT, "istio-proxy")])
def test_only_the_own_container_of_a_client_has_a_shell(
    monkeypatch: pytest.MonkeyPatch, pod: Pod, container: str | None
) -> None:
    monkeypatch.setattr(shell, "connect", lambda *_, **__: pytest.fail("no shell is to be started"))
    monkeypatch.setattr(commands, "_run_alone", lambda *_: CommandResult("alone", "", 0))
    assert run(new_api(), pod, ["curl"], container=container).stdout == "alone"


def test_missing_pod_is_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: Any, **__: Any) -> Any:
        raise GoneError("gone")

    monkeypatch.setattr(shell, "connect", connect)
    with pytest.raises(GoneError):
        run(new_api(), CLIENT, ["curl"])
