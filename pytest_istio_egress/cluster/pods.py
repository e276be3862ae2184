"""Ready pods, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.model.ambient_names import REDIRECTION, WAYPOINT_POD

PROXY = "istio-proxy"
"""The container with the proxy and its agent."""
_OF_THE_SUITE = ("curl", "envoy")
"""Containers of the suite's clients and forward proxies; a webhook of the cluster may put another container first."""


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
    """The container that commands run in: the suite's own, else the first one that is not the proxy, else the proxy."""
    restarts: int = 0
    """Restarts of all its containers."""
    second_address: str = ""
    """Its address in the second family of a dual-stack cluster."""
    keeps_shell: bool = False
    """Whether commands in it may be run by a shell that stays open: it is a client of the suite's own."""
    node: str = ""
    """The node that it runs on."""
    ambient: bool = False
    """Whether its connections are redirected to the ztunnel of its node."""
    waypoint: bool = False
    """Whether it is one of a waypoint."""

    @property
    def addresses(self) -> frozenset[str]:
        """Its addresses in all families."""
        return frozenset(filter(None, (self.address, self.second_address)))

    def __str__(self) -> str:
        """Return it in kubectl's syntax."""
        return f"{self.name} -n {self.namespace}"


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
        container=_container([container.name for container in pod.spec.containers]),
        second_address=next((entry.ip for entry in attribute(pod.status, "pod_ips", "pod_i_ps")[1:]), ""),
        node=pod.spec.node_name or "",
        ambient=(pod.metadata.annotations or {}).get(REDIRECTION) == "enabled",
        waypoint=WAYPOINT_POD in (pod.metadata.labels or {}).items(),
        restarts=sum(status.restart_count for status in container_statuses(pod)),
    )


def _container(names: Sequence[str]) -> str:
    others = [name for name in names if name != PROXY]
    return next((name for name in others if name in _OF_THE_SUITE), next(iter(others), PROXY))


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
