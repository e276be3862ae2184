"""Waits until a pod is ready, told of every change by the API, and says why one is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing

from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.pods import Pod, is_ready, list_pods, only_ready

_LOOK_AGAIN = 2
"""Seconds after which pods that do not change are looked at once more: what keeps them may be no change of theirs."""


class NotReadyError(ClusterError):
    """A pod is not ready (yet)."""


class NoPodError(NotReadyError):
    """Nobody has made such a pod at all."""


def ready_pod(api: Api, namespace: str, selector: str, *, timeout: float) -> Pod:
    """Wait for a ready pod; raises NotReadyError that says why there is none after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (ready := only_ready(pods := list_pods(api, namespace, selector))):
        expired = time.monotonic() > deadline
        if expired or not pods:
            why = _why_none(api, namespace, selector, pods)
            if expired or not isinstance(why, NotReadyError):
                raise why
        _await_ready(api, namespace, selector)
    return ready[0]


def _why_none(api: Api, namespace: str, selector: str, pods: Sequence[client.V1Pod]) -> ClusterError:
    """Return why none of these pods is ready: no NotReadyError where none will ever be."""
    why = f"no ready pod {selector} in {namespace}: {why_not_ready(api, namespace, pods)}"
    # What a quota, Pod Security or a policy refuses it goes on refusing. (A service account that isn't there yet, right
    # after its namespace was made, is refused in the same words.)
    if not pods and "FailedCreate: " in why and "forbidden" in why and "not found" not in why:
        return ClusterError(why)
    return (NotReadyError if pods else NoPodError)(why)


def _await_ready(api: Api, namespace: str, selector: str) -> None:
    """Return when a pod got ready, or after a while: asking again and again would keep a busy API server busy."""
    events = watch.Watch().stream(
        api.core.list_namespaced_pod, namespace, label_selector=selector, timeout_seconds=_LOOK_AGAIN
    )
    try:
        with closing(events):
            if any(is_ready(event["object"]) for event in events):
                return
    except (ApiException, HTTPError, OSError):
        threading.Event().wait(0.2)  # the API server restarts; who asks next tells


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
