"""Starts a program in a container over a WebSocket, and tells which errors a second try may mend."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from websocket import WebSocketException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.retry import BUSY
from pytest_istio_egress.model.text import one_line

STATUS = 3
"""The channel on which Kubernetes sends the status of the program once it ended, or why it could not start."""
_HANDSHAKE = re.compile(r"Handshake status (\d+)")


class NotEndedError(ClusterError):
    """A command in a pod did not end in time."""


class GoneError(ClusterError):
    """The pod no longer exists."""


class LostError(ClusterError):
    """The connection to the API server was lost; the command may be run again."""


@dataclass(frozen=True)
class CommandResult:
    """The output of a command in a pod, and its exit code (None where the connection was lost before it came)."""

    stdout: str
    stderr: str
    exit: int | None


def connect(api: Api, pod: Pod, command: Sequence[str], container: str, timeout: float, *, stdin: bool = False) -> Any:
    """Start a command; return the WebSocket client with its streams (kubernetes.stream.ws_client.WSClient).

    `timeout` is for the handshake, in seconds. Raises GoneError where the pod no longer exists, LostError where the
    handshake may succeed next time, else ClusterError.
    """
    core = client.CoreV1Api(api.new_client())
    generation = api.login.generation
    try:
        return stream(
            core.connect_get_namespaced_pod_exec,
            pod.name,
            pod.namespace,
            container=container,
            command=list(command),
            stdout=True,
            stderr=True,
            stdin=stdin,
            tty=False,
            _preload_content=False,
            _request_timeout=timeout,
        )
    except ApiException as error:
        message = f"exec in {pod} failed: {reason(error)}"
        status = handshake_status(error)
        if status == 401 and api.login.renew(generation):
            raise LostError(message) from error  # it is run again, with the new credentials
        if status == 401:
            raise ClusterError(f"exec in {pod} failed: {api.login.rejected}") from error
        if status == 404:
            raise GoneError(message) from error
        # No response, or one of an API server that cannot reach the node (502) or is starting.
        raise (LostError if status is None or status in BUSY else ClusterError)(message) from error
    except (WebSocketException, OSError) as error:
        raise LostError(f"exec in {pod} failed: {one_line(error)}") from error


def handshake_status(error: ApiException) -> int | None:
    """Return the HTTP status that the API server answered to the start of an exec; None where it did not answer."""
    handshake = _HANDSHAKE.match(str(error.reason))
    return int(handshake[1]) if handshake else None


def failed_start(status: str | None) -> str | None:
    """Return why the program could not be started, by its status; None where it ran, or where nothing is known."""
    if exit_code(status) is not None or "ailure" not in (status or ""):
        return None
    return str(json.loads(status or "")["message"])


def exit_code(status: str | None) -> int | None:
    """Return the exit code of the program, by its status; None where that has none."""
    try:
        outcome = json.loads(status or "")
    except json.JSONDecodeError:
        return None
    if outcome.get("status") == "Success":
        return 0
    for cause in (outcome.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    return None
