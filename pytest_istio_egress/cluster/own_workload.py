"""Probes from a user's workload, through an ephemeral container in one of its pods.

    pod payments-7d9f  [ app | istio-proxy ]  +  istio-egress-k3x9q: curl, in the same network namespace
                              ^----------------- its traffic is redirected like the app's

Nothing is restarted, and nothing else in the pod changes. Kubernetes cannot remove an ephemeral container: it exits
after an hour, and every run until then reuses it.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.cluster.readiness import ready_pod
from pytest_istio_egress.model.case import InvalidTestError
from pytest_istio_egress.model.probe import WORKLOAD_KINDS
from pytest_istio_egress.model.text import one_line

PREFIX = "istio-egress-"
LIFETIME = 3600
"""Seconds after which the container exits."""
_MIN_REMAINING = 300
"""Seconds that a container must have left to be reused."""


def probing_pod(api: Api, workload: str, curl: Mapping[str, Any], *, timeout: float) -> Pod:
    """Return a ready pod of `<kind>/<name>.<namespace>` whose container is the one with curl.

    `curl` is the container of the suite's clients, whose image and user it gets.

    Raises InvalidTestError where the workload does not exist, ClusterError where the container cannot be added or does
    not start in time.
    """
    name, _, namespace = workload.rpartition(".")
    pod = ready_pod(api, namespace, selector(api, name, namespace), timeout=timeout)
    return replace(pod, container=_usable(api, pod) or _add(api, pod, curl, timeout=timeout))


def selector(api: Api, workload: str, namespace: str) -> str:
    """Return the label selector of the pods of `<kind>/<name>`, in kubectl's syntax.

    Raises InvalidTestError where there is no such workload, ClusterError where it cannot be read.
    """
    kind, _, name = workload.partition("/")
    if kind not in WORKLOAD_KINDS or not name or not namespace:
        forms = ", ".join(f"{each}/NAME.NAMESPACE" for each in WORKLOAD_KINDS)
        raise InvalidTestError(f"invalid workload '{workload}.{namespace}': use one of {forms}")
    try:
        manifest = api.resource("apps/v1", WORKLOAD_KINDS[kind]).get(name=name, namespace=namespace).to_dict()
    except ApiException as error:
        if error.status == 404:
            raise InvalidTestError(
                f"namespace {namespace} has no {kind} {name}: correct workload('{kind}/{name}', "
                f"namespace='{namespace}'), or select the cluster that has it"
            ) from error
        raise ClusterError(f"cannot read {kind} {name} in namespace {namespace}: {reason(error)}") from error
    labels: dict[str, Any] = manifest["spec"]["selector"]
    terms = [f"{label}={value}" for label, value in (labels.get("matchLabels") or {}).items()]
    return ",".join([*terms, *map(_term, labels.get("matchExpressions") or [])])


def _term(expression: dict[str, Any]) -> str:
    key, values = expression["key"], ",".join(expression.get("values") or [])
    terms: dict[str, str] = {
        "In": f"{key} in ({values})",
        "NotIn": f"{key} notin ({values})",
        "Exists": key,
        "DoesNotExist": f"!{key}",
    }
    return terms[expression["operator"]]


def container(name: str, curl: Mapping[str, Any]) -> dict[str, Any]:
    """Build the container for restricted Pod Security; its user is not 1337, whose traffic is not redirected."""
    return {
        "name": name,
        "image": curl["image"],
        "command": ["sleep", str(LIFETIME)],
        "securityContext": {
            **curl["securityContext"],
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _usable(api: Api, pod: Pod) -> str | None:
    """Return our container in a pod that still runs long enough, None where there is none."""
    oldest_start = api.now() - datetime.timedelta(seconds=LIFETIME - _MIN_REMAINING)
    for status in _statuses(api, pod):
        running = status.state.running if status.state else None
        if status.name.startswith(PREFIX) and running and running.started_at > oldest_start:
            return str(status.name)
    return None


def _add(api: Api, pod: Pod, curl: Mapping[str, Any], *, timeout: float) -> str:
    name = f"{PREFIX}{secrets.token_hex(3)}"
    try:
        api.core.patch_namespaced_pod_ephemeralcontainers(
            pod.name, pod.namespace, {"spec": {"ephemeralContainers": [container(name, curl)]}}
        )
    except ApiException as error:
        raise ClusterError(f"cannot add an ephemeral container to {pod}: {reason(error)}") from error
    _wait_until_running(api, pod, name, timeout)
    return name


def _wait_until_running(api: Api, pod: Pod, name: str, timeout: float) -> None:
    why = "the kubelet has not started it"

    def is_running() -> bool:
        nonlocal why
        state = next((status.state for status in _statuses(api, pod) if status.name == name), None)
        if state and state.terminated:
            raise ClusterError(f"container {name} of {pod} exited: {state.terminated.message or 'no message'}")
        if state and state.waiting:
            why = one_line(f"{state.waiting.reason} {state.waiting.message or ''}")
        return bool(state and state.running)

    if not poll(is_running, every=0.1, timeout=timeout):
        raise ClusterError(f"container {name} of {pod} did not start within {timeout:g} s: {why}")


def _statuses(api: Api, pod: Pod) -> list[client.V1ContainerStatus]:
    try:
        return api.core.read_namespaced_pod(pod.name, pod.namespace).status.ephemeral_container_statuses or []
    except ApiException as error:
        raise ClusterError(f"cannot read pod {pod}: {reason(error)}") from error
