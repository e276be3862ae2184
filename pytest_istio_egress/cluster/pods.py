"""Pods: finding those that are ready, running a command in one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential
from websocket import WebSocketException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.retry import BUSY

PROXY = "istio-proxy"


_HANDSHAKE = re.compile(r"Handshake status (\d+)")


class NotEndedError(ClusterError):
    """A command in a pod did not end in its time."""


class GoneError(ClusterError):
    """There is no such pod any more."""


class LostError(ClusterError):
    """The connection to the API was lost; what ran over it may be run again."""


@dataclass(frozen=True)
class Pod:
    """A ready pod. `injected` is whether Istio put its proxy in, `restarts` of all its containers together."""

    namespace: str
    name: str
    uid: str
    address: str
    injected: bool
    container: str
    restarts: int = 0

    def __str__(self) -> str:
        """Return it the way kubectl names it."""
        return f"{self.name} -n {self.namespace}"


@dataclass(frozen=True)
class CommandResult:
    """What a command in a pod left: its streams and its exit code (None where the connection lost it)."""

    stdout: str
    stderr: str
    exit: int | None


def is_ready(pod: client.V1Pod) -> bool:
    """Whether a pod, as the API describes it, is ready and stays."""
    conditions = {condition.type: condition.status for condition in pod.status.conditions or []}
    return pod.metadata.deletion_timestamp is None and conditions.get("Ready") == "True"


def _described(pod: client.V1Pod) -> Pod:
    # A native sidecar is an init container that keeps running; before Istio 1.27 it was an ordinary one.
    states = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    containers = [*(pod.spec.init_containers or []), *pod.spec.containers]
    return Pod(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        address=pod.status.pod_ip,
        injected=any(container.name == PROXY for container in containers),
        container=next((c.name for c in pod.spec.containers if c.name != PROXY), PROXY),
        restarts=sum(state.restart_count for state in states),
    )


def ready_pods(api: Api, namespace: str, selector: str) -> list[Pod]:
    """Return the pods that are ready now, by name."""
    return only_ready(list_pods(api, namespace, selector))


def list_pods(api: Api, namespace: str, selector: str) -> list[client.V1Pod]:
    """Return the pods as the API describes them, ready or not."""
    try:
        found: list[client.V1Pod] = api.core.list_namespaced_pod(namespace, label_selector=selector).items
    except ApiException as error:
        raise ClusterError(f"the pods {selector} in {namespace} can't be listed: {reason(error)}") from error
    return found


def only_ready(pods: Iterable[client.V1Pod]) -> list[Pod]:
    """Return those that are ready, by name."""
    return sorted((_described(pod) for pod in pods if is_ready(pod)), key=lambda pod: pod.name)


def run(
    api: Api, pod: Pod, command: Sequence[str], *, container: str | None = None, timeout: float | None = None
) -> CommandResult:
    """Run a command in a pod's container, `timeout` seconds at most; ClusterError where it could not be run.

    A command whose connection was lost is run again while the API server may be away: commands here ask, they change
    nothing. GoneError where there is no such pod any more.
    """
    for attempt in Retrying(
        stop=stop_after_delay(api.timeouts.api),
        wait=wait_exponential(multiplier=0.1, max=1.0),
        retry=retry_if_exception_type(LostError),
        reraise=True,
    ):
        with attempt:
            return _run_once(api, pod, command, container or pod.container, timeout or api.timeouts.command)
    raise AssertionError("Retrying ends by returning or raising")


def _run_once(api: Api, pod: Pod, command: Sequence[str], container: str, timeout: float) -> CommandResult:
    socket = _connected(api, pod, command, container, timeout)
    try:
        socket.run_forever(timeout=timeout)
        if socket.is_open():
            raise NotEndedError(f"{command[0]} in {pod} did not end within {timeout:g} s")
        status = socket.read_channel(3)  # the error channel, before anything empties it
        code = _exit_code(status)
        if code is None and "ailure" in (status or ""):
            raise ClusterError(f"{command[0]} could not be run in {pod}: {json.loads(status)['message']}")
        ran = CommandResult(stdout=socket.read_stdout() or "", stderr=socket.read_stderr() or "", exit=code)
    except (WebSocketException, OSError) as error:
        raise LostError(f"the connection to the API was lost while {command[0]} ran in {pod}: {error}") from error
    finally:
        socket.close()
    if ran.exit is None and not ran.stdout:
        raise LostError(f"the connection to the API was lost while {command[0]} ran in {pod}")
    return ran


def _connected(api: Api, pod: Pod, command: Sequence[str], container: str, timeout: float) -> Any:
    core = client.CoreV1Api(api.new_client())
    try:
        return stream(
            core.connect_get_namespaced_pod_exec,
            pod.name,
            pod.namespace,
            container=container,
            command=list(command),
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
            _preload_content=False,
            _request_timeout=timeout,
        )
    except ApiException as error:
        why = f"exec in {pod} failed: {reason(error)}"
        answered = _HANDSHAKE.match(str(error.reason))
        status = int(answered[1]) if answered else None
        if status == 404:
            raise GoneError(why) from error
        # No answer at all, or one of an API server that can't reach the node (502) or is just starting.
        raise (LostError if status is None or status in BUSY else ClusterError)(why) from error
    except (WebSocketException, OSError) as error:
        raise LostError(f"exec in {pod} failed: {error}") from error


def changed(api: Api, pods: Iterable[Pod]) -> list[str]:
    """Say of each of these pods that is no longer as it was found: gone, started anew, or not ready."""
    known = list(pods)
    now = {
        pod.uid: pod for namespace in sorted({pod.namespace for pod in known}) for pod in ready_pods(api, namespace, "")
    }
    gone = [f"the pod {pod} is gone or not ready" for pod in known if pod.uid not in now]
    anew = [
        f"a container of the pod {pod} was started anew"
        for pod in known
        if pod.uid in now and now[pod.uid].restarts != pod.restarts
    ]
    return gone + anew


def _exit_code(status: str | None) -> int | None:
    try:
        said = json.loads(status or "")
    except json.JSONDecodeError:
        return None
    if said.get("status") == "Success":
        return 0
    for cause in (said.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    return None
