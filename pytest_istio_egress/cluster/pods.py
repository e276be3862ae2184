"""Pods: finding the one that is meant, running a command in it, waiting until it is ready."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed
from websocket import WebSocketException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason

PROXY = "istio-proxy"


class NotEndedError(ClusterError):
    """A command in a pod did not end in its time."""


class NotReadyError(ClusterError):
    """A pod is not ready (yet)."""


@dataclass(frozen=True)
class Pod:
    """A ready pod. `injected` is whether Istio put its proxy in."""

    namespace: str
    name: str
    uid: str
    address: str
    injected: bool
    container: str

    def __str__(self) -> str:
        """Return it the way kubectl names it."""
        return f"{self.name} -n {self.namespace}"


@dataclass(frozen=True)
class Ran:
    """What a command in a pod left: its streams and its exit code (None where the connection lost it)."""

    stdout: str
    stderr: str
    exit: int | None


def _ready(pod: client.V1Pod) -> bool:
    conditions = {condition.type: condition.status for condition in pod.status.conditions or []}
    return pod.metadata.deletion_timestamp is None and conditions.get("Ready") == "True"


def _described(pod: client.V1Pod) -> Pod:
    # A native sidecar is an init container that keeps running; before Istio 1.27 it was an ordinary one.
    containers = [*(pod.spec.init_containers or []), *pod.spec.containers]
    return Pod(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        address=pod.status.pod_ip,
        injected=any(container.name == PROXY for container in containers),
        container=next((c.name for c in pod.spec.containers if c.name != PROXY), PROXY),
    )


class NoPodError(NotReadyError):
    """Nobody has made such a pod at all."""


def ready_pod(api: Api, namespace: str, selector: str, *, timeout: float) -> Pod:
    """Wait for a ready pod; raises NotReadyError that says why there is none after `timeout` seconds."""
    for attempt in Retrying(
        stop=stop_after_delay(timeout), wait=wait_fixed(0.1), retry=retry_if_exception_type(NotReadyError), reraise=True
    ):
        with attempt:
            return _one_ready(api, namespace, selector)
    raise AssertionError("Retrying ends by returning or raising")


def ready_pods(api: Api, namespace: str, selector: str) -> list[Pod]:
    """Return the pods that are ready now, by name."""
    try:
        pods = api.core.list_namespaced_pod(namespace, label_selector=selector).items
    except ApiException as error:
        raise ClusterError(f"the pods {selector} in {namespace} can't be listed: {reason(error)}") from error
    return sorted((_described(pod) for pod in pods if _ready(pod)), key=lambda pod: pod.name)


def _one_ready(api: Api, namespace: str, selector: str) -> Pod:
    ready = ready_pods(api, namespace, selector)
    if ready:
        return ready[0]
    pods = api.core.list_namespaced_pod(namespace, label_selector=selector).items
    error = NotReadyError if pods else NoPodError
    raise error(f"no ready pod {selector} in {namespace}: {why_not_ready(api, namespace, pods)}")


def why_not_ready(api: Api, namespace: str, pods: Sequence[client.V1Pod]) -> str:
    """Say in one sentence what keeps pods from being ready: a container's own reason, else the last warning."""
    for pod in pods:
        for status in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
            waiting = status.state.waiting if status.state else None
            if waiting and waiting.reason not in {"PodInitializing", "ContainerCreating"}:
                return f"container {status.name} waits: {waiting.reason} {waiting.message or ''}".strip()
    events = api.core.list_namespaced_event(namespace, field_selector="type=Warning").items
    if events:
        return f"{events[-1].reason}: {' '.join((events[-1].message or '').split())}"
    return "no pod was created" if not pods else f"phase {pods[0].status.phase}, containers still starting"


def run(api: Api, pod: Pod, command: Sequence[str], *, container: str | None = None, timeout: float = 30.0) -> Ran:
    """Run a command in a pod's container; raises ClusterError where it could not even be started."""
    core = client.CoreV1Api(api.new_client())
    try:
        socket = stream(
            core.connect_get_namespaced_pod_exec,
            pod.name,
            pod.namespace,
            container=container or pod.container,
            command=list(command),
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
            _preload_content=False,
            _request_timeout=timeout,
        )
    except ApiException as error:
        raise ClusterError(f"exec in {pod} failed: {reason(error)}") from error
    except (WebSocketException, OSError) as error:
        raise ClusterError(f"exec in {pod} failed: {error}") from error
    try:
        socket.run_forever(timeout=timeout)
        if socket.is_open():
            raise NotEndedError(f"{command[0]} in {pod} did not end within {timeout:g} s")
        status = socket.read_channel(3)  # the error channel, before anything empties it
        code = _exit_code(status)
        if code is None and "ailure" in (status or ""):
            raise ClusterError(f"{command[0]} could not be run in {pod}: {json.loads(status)['message']}")
        return Ran(stdout=socket.read_stdout() or "", stderr=socket.read_stderr() or "", exit=code)
    except (WebSocketException, OSError) as error:
        raise ClusterError(f"the connection to the API was lost while {command[0]} ran in {pod}: {error}") from error
    finally:
        socket.close()


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
