"""Ready pods, and commands in them."""

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
from pytest_istio_egress.model.text import one_line

PROXY = "istio-proxy"
"""The container with the proxy and its agent."""
_HANDSHAKE = re.compile(r"Handshake status (\d+)")


class NotEndedError(ClusterError):
    """A command in a pod did not end in time."""


class GoneError(ClusterError):
    """The pod no longer exists."""


class LostError(ClusterError):
    """The connection to the API server was lost; the command may be run again."""


@dataclass(frozen=True)
class Pod:
    """A ready pod."""

    namespace: str
    name: str
    uid: str
    address: str
    injected: bool
    """Whether it has a proxy."""
    container: str
    """The container that commands run in: the first one that is not the proxy, else the proxy."""
    restarts: int = 0
    """Restarts of all its containers."""
    second_address: str = ""
    """Its address in the second family of a dual-stack cluster."""

    @property
    def addresses(self) -> frozenset[str]:
        """Its addresses in all families."""
        return frozenset(filter(None, (self.address, self.second_address)))

    def __str__(self) -> str:
        """Return it in kubectl's syntax."""
        return f"{self.name} -n {self.namespace}"


@dataclass(frozen=True)
class CommandResult:
    """The output of a command in a pod, and its exit code (None where the connection was lost before it came)."""

    stdout: str
    stderr: str
    exit: int | None


def is_ready(pod: client.V1Pod) -> bool:
    """Whether a pod is ready and not being deleted."""
    conditions = {condition.type: condition.status for condition in pod.status.conditions or []}
    return pod.metadata.deletion_timestamp is None and conditions.get("Ready") == "True"


def container_statuses(pod: client.V1Pod) -> list[client.V1ContainerStatus]:
    """Return the statuses of a pod's init containers, which native sidecars are, and of its ordinary ones."""
    return [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]


def attribute(part: Any, name: str, older_name: str) -> list[Any]:
    """Return a list that older releases of the Kubernetes client have under another name; empty where it is None."""
    return getattr(part, name, None) or getattr(part, older_name, None) or []


def _ready_pod(pod: client.V1Pod) -> Pod:
    containers = [*(pod.spec.init_containers or []), *pod.spec.containers]
    return Pod(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        address=pod.status.pod_ip,
        injected=any(container.name == PROXY for container in containers),
        container=next((c.name for c in pod.spec.containers if c.name != PROXY), PROXY),
        second_address=next((entry.ip for entry in attribute(pod.status, "pod_ips", "pod_i_ps")[1:]), ""),
        restarts=sum(status.restart_count for status in container_statuses(pod)),
    )


def ready_pods(api: Api, namespace: str, selector: str) -> list[Pod]:
    """Return the pods that are ready now, sorted by name."""
    return only_ready(list_pods(api, namespace, selector))


def list_pods(api: Api, namespace: str, selector: str) -> list[client.V1Pod]:
    """Return the pods of a selector as the API describes them, ready or not; raises ClusterError."""
    try:
        pods: list[client.V1Pod] = api.core.list_namespaced_pod(namespace, label_selector=selector).items
    except ApiException as error:
        raise ClusterError(f"cannot list pods {selector} in {namespace}: {reason(error)}") from error
    return pods


def only_ready(pods: Iterable[client.V1Pod]) -> list[Pod]:
    """Return the ready ones among some pods, sorted by name."""
    return sorted((_ready_pod(pod) for pod in pods if is_ready(pod)), key=lambda pod: pod.name)


def run(
    api: Api, pod: Pod, command: Sequence[str], *, container: str | None = None, timeout: float | None = None
) -> CommandResult:
    """Run a command in a pod's container for up to `timeout` seconds; raises ClusterError where it could not run.

    It is run again where the connection to the API server was lost: our commands change nothing. Raises GoneError
    where the pod no longer exists.
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
            raise ClusterError(f"cannot run {command[0]} in {pod}: {json.loads(status)['message']}")
        result = CommandResult(stdout=socket.read_stdout() or "", stderr=socket.read_stderr() or "", exit=code)
    except (WebSocketException, OSError) as error:
        raise LostError(
            f"the connection to the API server was lost while {command[0]} ran in {pod}: {one_line(error)}"
        ) from error
    finally:
        socket.close()
    if result.exit is None and not result.stdout:
        raise LostError(f"the connection to the API server was lost while {command[0]} ran in {pod}")
    return result


def _connected(api: Api, pod: Pod, command: Sequence[str], container: str, timeout: float) -> Any:
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
            stdin=False,
            tty=False,
            _preload_content=False,
            _request_timeout=timeout,
        )
    except ApiException as error:
        message = f"exec in {pod} failed: {reason(error)}"
        handshake = _HANDSHAKE.match(str(error.reason))
        status = int(handshake[1]) if handshake else None
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


def changed_pods(api: Api, pods: Iterable[Pod]) -> list[str]:
    """Return a sentence for each of these pods that is gone, not ready, or was restarted since it was looked up."""
    before = list(pods)
    namespaces = sorted({pod.namespace for pod in before})
    now = {pod.uid: pod for namespace in namespaces for pod in ready_pods(api, namespace, "")}
    gone = [f"the pod {pod} is gone or not ready" for pod in before if pod.uid not in now]
    restarted = [
        f"a container of the pod {pod} was restarted"
        for pod in before
        if pod.uid in now and now[pod.uid].restarts != pod.restarts
    ]
    return gone + restarted


def _exit_code(status: str | None) -> int | None:
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
