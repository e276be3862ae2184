"""Probes from a workload that is the user's own: an ephemeral container in one of its pods, and nothing else.

    pod payments-7d9f  [ app | istio-proxy ]  +  istio-egress-k3x9q: curl, in the same network namespace
                              ^----------------- its traffic is redirected as the app's is

Nothing is restarted and nothing else of the pod is changed. Kubernetes can't take an ephemeral container out of a pod
again: this one ends by itself after an hour and goes with the pod; until then every run uses it again.
"""

from __future__ import annotations

import datetime
import secrets
import threading
import time
from dataclasses import replace
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.readiness import ready_pod

PREFIX = "istio-egress-"
LASTS = 3600
"""Seconds after which the container ends."""
_LEFT = 300
"""Seconds that one must have left to be used again."""
_KINDS = {
    "deployment": ("apps/v1", "Deployment"),
    "statefulset": ("apps/v1", "StatefulSet"),
    "daemonset": ("apps/v1", "DaemonSet"),
}


def probing_pod(api: Api, workload: str, image: str, *, timeout: float) -> Pod:
    """Return a ready pod of `<kind>/<name>.<namespace>`; what runs in it runs in the container with curl.

    ClusterError where the workload is not there, or the container can't be added or does not start in time.
    """
    what, _, namespace = workload.rpartition(".")
    pod = ready_pod(api, namespace, selector(api, what, namespace), timeout=timeout)
    return replace(pod, container=_usable(api, pod) or _add(api, pod, image, timeout=timeout))


def selector(api: Api, what: str, namespace: str) -> str:
    """Return what selects the pods of `<kind>/<name>`, as kubectl takes it."""
    kind, _, name = what.partition("/")
    if kind not in _KINDS or not name or not namespace:
        raise ClusterError(
            f"{what}.{namespace} names no workload: write {', '.join(f'{known}/NAME' for known in _KINDS)}.NAMESPACE"
        )
    try:
        found = api.resource(*_KINDS[kind]).get(name=name, namespace=namespace).to_dict()
    except ApiException as error:
        raise ClusterError(f"{kind} {name} in namespace {namespace} can't be read: {reason(error)}") from error
    wanted: dict[str, Any] = found["spec"]["selector"]
    terms = [f"{label}={value}" for label, value in (wanted.get("matchLabels") or {}).items()]
    return ",".join([*terms, *map(_term, wanted.get("matchExpressions") or [])])


def _term(expression: dict[str, Any]) -> str:
    key, values = expression["key"], ",".join(expression.get("values") or [])
    written: dict[str, str] = {
        "In": f"{key} in ({values})",
        "NotIn": f"{key} notin ({values})",
        "Exists": key,
        "DoesNotExist": f"!{key}",
    }
    return written[expression["operator"]]


def container(name: str, image: str) -> dict[str, Any]:
    """Build the container: a user whose traffic is redirected (1337's is not), nothing a restricted pod may not do."""
    return {
        "name": name,
        "image": image,
        "command": ["sleep", str(LASTS)],
        "securityContext": {
            "runAsUser": 100,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _usable(api: Api, pod: Pod) -> str | None:
    """Return the container of ours that runs in a pod and will for a while."""
    enough = api.now() - datetime.timedelta(seconds=LASTS - _LEFT)
    for status in _statuses(api, pod):
        running = status.state.running if status.state else None
        if status.name.startswith(PREFIX) and running and running.started_at > enough:
            return str(status.name)
    return None


def _add(api: Api, pod: Pod, image: str, *, timeout: float) -> str:
    name = f"{PREFIX}{secrets.token_hex(3)}"
    try:
        api.core.patch_namespaced_pod_ephemeralcontainers(
            pod.name, pod.namespace, {"spec": {"ephemeralContainers": [container(name, image)]}}
        )
    except ApiException as error:
        raise ClusterError(f"no ephemeral container can be added to {pod}: {reason(error)}") from error
    deadline = time.monotonic() + timeout
    why = "the kubelet has not taken it up"
    while time.monotonic() < deadline:
        state = next((status.state for status in _statuses(api, pod) if status.name == name), None)
        if state and state.running:
            return name
        if state and state.terminated:
            raise ClusterError(
                f"container {name} of {pod} ended at once: {state.terminated.message or 'no reason told'}"
            )
        if state and state.waiting:
            why = f"{state.waiting.reason} {state.waiting.message or ''}".strip()
        threading.Event().wait(0.1)  # between two questions to the API, not in place of one
    raise ClusterError(f"container {name} of {pod} did not start within {timeout:g} s: {why}")


def _statuses(api: Api, pod: Pod) -> list[client.V1ContainerStatus]:
    try:
        return api.core.read_namespaced_pod(pod.name, pod.namespace).status.ephemeral_container_statuses or []
    except ApiException as error:
        raise ClusterError(f"{pod} can't be read: {reason(error)}") from error
