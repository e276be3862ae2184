"""A pod is waited for by watching it: found when it is ready, and said why where it never is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.readiness import NoPodError, NotReadyError, ready_pod


def pod(*, ready: bool, waits: str | None = None) -> client.V1Pod:
    """Return a pod as the API describes it; `waits` is what its container says that it waits for."""
    waiting = client.V1ContainerStateWaiting(reason=waits, message="back-off") if waits else None
    status = client.V1ContainerStatus(
        name="curl",
        image="",
        image_id="",
        ready=ready,
        restart_count=0,
        state=client.V1ContainerState(waiting=waiting),
    )
    return client.V1Pod(
        metadata=client.V1ObjectMeta(namespace="here", name="sleep-1", uid="1"),
        spec=client.V1PodSpec(containers=[client.V1Container(name="curl")]),
        status=client.V1PodStatus(
            phase="Pending",
            pod_ip="10.1.0.1",
            conditions=[client.V1PodCondition(type="Ready", status=str(ready))],
            container_statuses=[status],
        ),
    )


class Cluster:
    """A namespace whose pods and warnings are what the test says; `watched` is told of every watch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pods: list[client.V1Pod] = []
        self.warnings: list[client.CoreV1Event] = []
        self.watched: Callable[[], None] = lambda: None
        monkeypatch.setattr(watch, "Watch", lambda: SimpleNamespace(stream=self._stream))
        core = SimpleNamespace(
            list_namespaced_pod=lambda *_, **__: SimpleNamespace(items=self.pods),
            list_namespaced_event=lambda *_, **__: SimpleNamespace(items=self.warnings),
        )
        self.api = cast(Api, SimpleNamespace(core=core))

    def _stream(self, *_: Any, **__: Any) -> Iterator[dict[str, Any]]:
        self.watched()
        yield from ({"object": each} for each in self.pods)

    def warns(self, reason: str, message: str) -> None:
        """Add a warning of the namespace's."""
        self.warnings.append(cast(client.CoreV1Event, SimpleNamespace(reason=reason, message=message)))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Stand in for the API."""
    return Cluster(monkeypatch)


def test_a_pod_that_gets_ready_while_it_is_watched_is_found(cluster: Cluster) -> None:
    cluster.pods = [pod(ready=False)]
    cluster.watched = lambda: setattr(cluster, "pods", [pod(ready=True)])
    assert ready_pod(cluster.api, "here", "app=sleep", timeout=5).name == "sleep-1"


@pytest.mark.parametrize("error", [ApiException(status=410, reason="too old"), OSError("connection reset")])
def test_a_watch_that_breaks_is_begun_anew(cluster: Cluster, error: Exception) -> None:
    broken: list[Exception] = [error]

    def watched() -> None:
        if broken:
            raise broken.pop()
        cluster.pods = [pod(ready=True)]

    cluster.watched = watched
    assert ready_pod(cluster.api, "here", "app=sleep", timeout=5).uid == "1"
    assert not broken


def test_what_keeps_a_pod_from_being_ready_is_said(cluster: Cluster) -> None:
    cluster.pods = [pod(ready=False, waits="ImagePullBackOff")]
    with pytest.raises(NotReadyError, match="container curl waits: ImagePullBackOff back-off") as told:
        ready_pod(cluster.api, "here", "app=sleep", timeout=0)
    assert not isinstance(told.value, NoPodError)


def test_a_pod_that_nobody_makes_is_told_apart(cluster: Cluster) -> None:
    with pytest.raises(NoPodError, match="no pod was created"):
        ready_pod(cluster.api, "here", "app=sleep", timeout=0)


def test_a_pod_that_the_cluster_refuses_is_not_waited_for(cluster: Cluster) -> None:
    cluster.warns("FailedCreate", 'pods "sleep-1" is forbidden: exceeded quota: pods=0')
    cluster.watched = lambda: pytest.fail("it was waited for")
    with pytest.raises(ClusterError, match="exceeded quota") as told:
        ready_pod(cluster.api, "here", "app=sleep", timeout=60)
    assert not isinstance(told.value, NotReadyError)


def test_a_service_account_that_is_yet_to_come_is_waited_for(cluster: Cluster) -> None:
    cluster.warns("FailedCreate", 'pods "sleep-1" is forbidden: service account default not found')
    cluster.watched = lambda: setattr(cluster, "pods", [pod(ready=True)])
    assert ready_pod(cluster.api, "here", "app=sleep", timeout=5)
