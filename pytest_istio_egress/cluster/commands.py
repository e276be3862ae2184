"""Runs commands in pods."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential
from websocket import WebSocketException

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.exec_connection import (
    STATUS,
    CommandResult,
    LostError,
    NotEndedError,
    connect,
    exit_code,
    failed_start,
)
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.shell import NoShellError, run_in_shell
from pytest_istio_egress.model.text import one_line


def run(
    api: Api, pod: Pod, command: Sequence[str], *, container: str | None = None, timeout: float | None = None
) -> CommandResult:
    """Run a command in a pod's container for up to `timeout` seconds; raises ClusterError where it could not run.

    It is run again where the connection to the API server was lost: our commands change nothing. Raises GoneError
    where the pod no longer exists.
    """
    seconds = timeout or api.timeouts.command
    for attempt in Retrying(
        stop=stop_after_delay(api.timeouts.api),
        wait=wait_exponential(multiplier=0.1, max=1.0),
        retry=retry_if_exception_type(LostError),
        reraise=True,
    ):
        with attempt:
            if _may_have_shell(api, pod, container):
                with suppress(NoShellError):
                    return run_in_shell(api, pod, command, seconds)
            return _run_alone(api, pod, command, container or pod.container, seconds)
    raise AssertionError("Retrying ends by returning or raising")


def _may_have_shell(api: Api, pod: Pod, container: str | None) -> bool:
    own = container in (None, pod.container)
    return pod.keeps_shell and own and pod.uid not in api.idle_shells.impossible


def _run_alone(api: Api, pod: Pod, command: Sequence[str], container: str, timeout: float) -> CommandResult:
    """Run a command over a connection of its own."""
    socket = connect(api, pod, command, container, timeout)
    try:
        socket.run_forever(timeout=timeout)
        if socket.is_open():
            raise NotEndedError(f"{command[0]} in {pod} did not end within {timeout:g} s")
        status = socket.read_channel(STATUS)  # before anything empties it
        if why := failed_start(status):
            raise ClusterError(f"cannot run {command[0]} in {pod}: {why}")
        result = CommandResult(socket.read_stdout() or "", socket.read_stderr() or "", exit_code(status))
    except (WebSocketException, OSError) as error:
        raise LostError(
            f"the connection to the API server was lost while {command[0]} ran in {pod}: {one_line(error)}"
        ) from error
    finally:
        socket.close()
    if result.exit is None and not result.stdout:
        raise LostError(f"the connection to the API server was lost while {command[0]} ran in {pod}")
    return result
