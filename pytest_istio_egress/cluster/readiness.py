"""Waits until a pod is ready by watching it, and returns why it is not."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing

from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.pods import Pod, container_statuses, is_ready, list_pods, only_ready
from pytest_istio_egress.cluster.refusals import is_of_the_cluster, may_pass
from pytest_istio_egress.model.text import one_line

_LOOK_AGAIN = 2
"""Seconds after which unchanged pods are listed again: the reason may lie outside of them."""


_NEW_NODE = 3
"""How many times the timeout a pod is waited for in addition, while a new node for it is announced."""
_SCALE_UP = frozenset({"TriggeredScaleUp", "Nominated", "NodeProvisioned"})
"""Reasons of events by which cluster autoscaler and Karpenter announce a node for a pod."""


class NotReadyError(ClusterError):
    """A pod is not ready, or not ready yet."""


class NoPodError(NotReadyError):
    """No such pod was created."""


def ready_pod(api: Api, namespace: str, selector: str, *, timeout: float) -> Pod:
    """Wait for a ready pod; raises NotReadyError with the reason where there is none after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    latest = deadline + _NEW_NODE * timeout
    while not (ready := only_ready(pods := list_pods(api, namespace, selector))):
        expired = time.monotonic() > deadline
        if expired or not pods or _never_starts(pods):
            error = _not_ready(api, namespace, selector, pods)
            node_comes = pods and time.monotonic() < latest and _is_scaling_up(api, namespace, pods)
            if (expired and not node_comes) or not isinstance(error, NotReadyError):
                raise error
        _await_ready(api, namespace, selector)
    return ready[0]


def _not_ready(api: Api, namespace: str, selector: str, pods: Sequence[client.V1Pod]) -> ClusterError:
    """Return the error that says why no pod is ready; not a NotReadyError where waiting is pointless."""
    message = f"no ready pod {selector} in {namespace}: {why_not_ready(api, namespace, selector, pods)}"
    # A quota, Pod Security or a policy rejects the pod, or its ReplicaSet, every time.
    if _never_starts(pods) or (not pods and is_of_the_cluster(message) and not may_pass(message)):
        return ClusterError(message)
    return (NotReadyError if pods else NoPodError)(message)


def _never_starts(pods: Sequence[client.V1Pod]) -> bool:
    """Whether the kubelet refuses a container because its image states no numeric user, as it will each time."""
    return any("runAsNonRoot and image" in (waiting.message or "") for _, waiting in _waiting(pods))


def _waiting(pods: Sequence[client.V1Pod]) -> Iterator[tuple[str, client.V1ContainerStateWaiting]]:
    """Yield the name and the state of each container that waits for anything but its turn."""
    for pod in pods:
        for status in container_statuses(pod):
            waiting = status.state.waiting if status.state else None
            if waiting and waiting.reason not in {"PodInitializing", "ContainerCreating"}:
                yield status.name, waiting


def _await_ready(api: Api, namespace: str, selector: str) -> None:
    """Return when a pod becomes ready, or after a while; a watch costs the API server less than polling."""
    events = watch.Watch().stream(
        api.core.list_namespaced_pod, namespace, label_selector=selector, timeout_seconds=_LOOK_AGAIN
    )
    try:
        with closing(events):
            if any(is_ready(event["object"]) for event in events):
                return
    except (ApiException, HTTPError, OSError):
        time.sleep(0.2)  # the API server restarts; the next request shows whether it is back


def why_not_ready(api: Api, namespace: str, selector: str, pods: Sequence[client.V1Pod]) -> str:
    """Return in one sentence why pods are not ready: the reason of a container, else the last warning event."""
    for name, waiting in _waiting(pods):
        return one_line(f"container {name} is waiting: {waiting.reason} {waiting.message or ''}")
    events = _events(api, namespace, selector, pods)
    warnings = [event for event in events if event.type == "Warning"]
    if warnings:
        node = "; a new node is announced" if any(event.reason in _SCALE_UP for event in events) else ""
        late = f"{node} (--istio-egress-timeout-scale waits longer)" if pods else ""
        return one_line(f"{warnings[-1].reason}: {warnings[-1].message or ''}{late}")
    return "no pod was created" if not pods else f"phase {pods[0].status.phase}, containers still starting"


def _is_scaling_up(api: Api, namespace: str, pods: Sequence[client.V1Pod]) -> bool:
    return any(event.reason in _SCALE_UP for event in _events(api, namespace, "", pods))


def _events(api: Api, namespace: str, selector: str, pods: Sequence[client.V1Pod]) -> list[client.CoreV1Event]:
    """Return the events of pods, without pods those of their Deployment, in the order of time.

    Events of pods that are gone say nothing of why there are none. The API server returns events by name, and a
    namespace may contain other workloads.
    """
    of_pods = {pod.metadata.name for pod in pods}
    app = selector.partition("app=")[2].partition(",")[0]

    def concerns(subject: client.V1ObjectReference) -> bool:
        name = subject.name
        if of_pods:
            return name in of_pods
        return subject.kind != "Pod" and (not app or name == app or name.startswith(f"{app}-"))

    events = api.core.list_namespaced_event(namespace).items
    return sorted((event for event in events if concerns(event.involved_object)), key=_moment)


def _moment(event: client.CoreV1Event) -> float:
    moment = event.last_timestamp or event.event_time or event.metadata.creation_timestamp
    return moment.timestamp() if moment else 0.0
