"""A pod is watched until it is ready; the error has the reason where it is not."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.readiness import NoPodError, NotReadyError, ready_pod


def pod(*, ready: bool, waiting_for: str | None = None, message: str = "back-off") -> client.V1Pod:
    """Return a pod as the API describes it; `waiting_for` is the reason of its waiting container."""
    waiting = client.V1ContainerStateWaiting(reason=waiting_for, message=message) if waiting_for else None
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
    """A namespace with pods and warning events; `watched` is called for every watch."""

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
        """Add a warning event of the pod, newer than those before."""
        self.tells("Warning", "sleep-1", reason, message)

    def tells(
        self,
        kind: str,
        about: str,
        reason: str,
        message: str,
        *,
        minute: int | None = None,
        subject: str = "ReplicaSet",
    ) -> None:
        """Add an event, at a minute of an hour; without one it is newer than those before."""
        at = datetime.datetime(2026, 1, 1, 0, len(self.warnings) if minute is None else minute, tzinfo=datetime.UTC)
        event = SimpleNamespace(
            type=kind,
            reason=reason,
            message=message,
            last_timestamp=at,
            involved_object=SimpleNamespace(name=about, kind=subject),
        )
        self.warnings.append(cast(client.CoreV1Event, event))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The stand-in for the API."""
    return Cluster(monkeypatch)


def test_pod_that_becomes_ready_is_returned(cluster: Cluster) -> None:
    cluster.pods = [pod(ready=False)]
    cluster.watched = lambda: setattr(cluster, "pods", [pod(ready=True)])
    assert ready_pod(cluster.api, "here", "app=sleep", timeout=5).name == "sleep-1"


@pytest.mark.parametrize("error", [ApiException(status=410, reason="too old"), OSError("connection reset")])
def test_broken_watch_is_started_again(cluster: Cluster, error: Exception) -> None:
    broken: list[Exception] = [error]

    def watched() -> None:
        if broken:
            raise broken.pop()
        cluster.pods = [pod(ready=True)]

    cluster.watched = watched
    assert ready_pod(cluster.api, "here", "app=sleep", timeout=5).uid == "1"
    assert not broken


def test_unready_pod_is_an_error_with_its_reason(cluster: Cluster) -> None:
    cluster.pods = [pod(ready=False, waiting_for="ImagePullBackOff")]
    with pytest.raises(NotReadyError, match="container curl is waiting: ImagePullBackOff back-off") as raised:
        ready_pod(cluster.api, "here", "app=sleep", timeout=0)
    assert not isinstance(raised.value, NoPodError)


def test_image_without_a_numeric_user_is_not_waited_for(cluster: Cluster) -> None:
    message = "container has runAsNonRoot and image has non-numeric user (curl_user), cannot verify user is non-root"
    cluster.pods = [pod(ready=False, waiting_for="CreateContainerConfigError", message=message)]
    cluster.watched = lambda: pytest.fail("it waited")
    with pytest.raises(ClusterError, match="runAsNonRoot") as raised:
        ready_pod(cluster.api, "here", "app=sleep", timeout=60)
    assert not isinstance(raised.value, NotReadyError)


def test_missing_pod_is_a_no_pod_error(cluster: Cluster) -> None:
    with pytest.raises(NoPodError, match="no pod was created"):
        ready_pod(cluster.api, "here", "app=sleep", timeout=0)


def test_rejected_pod_is_not_waited_for(cluster: Cluster) -> None:
    cluster.warns("FailedCreate", 'pods "sleep-1" is forbidden: exceeded quota: pods=0')
    cluster.watched = lambda: pytest.fail("it waited")
    with pytest.raises(ClusterError, match="exceeded quota") as raised:
        ready_pod(cluster.api, "here", "app=sleep", timeout=60)
    assert not isinstance(raised.value, NotReadyError)


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("FailedCreate", 'Error creating: admission webhook "validate.kyverno.svc-fail" denied the request: no team'),
        (
            "FailedCreate",
            'Error creating: Pod "sleep-1" is invalid: spec.containers[0].resources.requests: Invalid value: "10m": '
            "must be less than or equal to cpu limit of 5m",
        ),
        (
            "ReplicaSetCreateError",
            'Failed to create new replica set "sleep-5d9f": replicasets.apps "sleep-5d9f" is forbidden: '
            "ValidatingAdmissionPolicy 'company' with binding 'all' denied request: no team",
        ),
    ],
    ids=["webhook", "limit-range", "replica-set"],
)
def test_every_kind_of_rejection_ends_the_wait(cluster: Cluster, reason: str, message: str) -> None:
    cluster.warns(reason, message)
    cluster.watched = lambda: pytest.fail("it waited")
    with pytest.raises(ClusterError) as raised:
        ready_pod(cluster.api, "here", "app=sleep", timeout=60)
    assert message.rstrip() in str(raised.value)
    assert not isinstance(raised.value, NotReadyError)


def test_webhook_that_does_not_respond_is_waited_for(cluster: Cluster) -> None:
    cluster.warns("FailedCreate", 'failed calling webhook "rev.namespace.sidecar-injector.istio.io": refused')
    cluster.watched = lambda: setattr(cluster, "pods", [pod(ready=True)])
    assert ready_pod(cluster.api, "here", "app=sleep", timeout=5)


def test_missing_service_account_is_waited_for(cluster: Cluster) -> None:
    cluster.warns("FailedCreate", 'pods "sleep-1" is forbidden: service account default not found')
    cluster.watched = lambda: setattr(cluster, "pods", [pod(ready=True)])
    assert ready_pod(cluster.api, "here", "app=sleep", timeout=5)


def test_reason_is_the_latest_event_of_that_pod(cluster: Cluster) -> None:
    cluster.pods = [pod(ready=False)]
    cluster.tells("Warning", "sleep-1", "FailedScheduling", "no node has room", minute=9)
    cluster.tells("Warning", "sleep-1", "FailedMount", "no volume", minute=1)
    cluster.tells("Warning", "outside-1", "BackOff", "another server", minute=20)
    with pytest.raises(NotReadyError, match=r"FailedScheduling: no node has room \(--istio-egress-timeout-scale"):
        ready_pod(cluster.api, "here", "app=sleep", timeout=0)


def test_missing_pod_has_the_event_of_its_own_deployment(cluster: Cluster) -> None:
    cluster.tells("Warning", "second-5d9f", "FailedCreate", "forbidden: another server", minute=9)
    cluster.tells("Warning", "outside-7c4b", "FailedCreate", "is forbidden: exceeded quota: pods=0", minute=1)
    with pytest.raises(ClusterError, match="exceeded quota"):
        ready_pod(cluster.api, "here", "app=outside", timeout=0)


def test_announced_node_is_waited_for(cluster: Cluster) -> None:
    cluster.pods = [pod(ready=False)]
    cluster.warns("FailedScheduling", "no node")
    cluster.tells("Normal", "sleep-1", "TriggeredScaleUp", "pod triggered scale-up: 0->1")
    began = time.monotonic()

    def watched() -> None:
        if time.monotonic() > began + 0.1:  # after the timeout
            cluster.pods = [pod(ready=True)]

    cluster.watched = watched
    assert ready_pod(cluster.api, "here", "app=sleep", timeout=0.1)


def test_announced_node_is_not_waited_for_forever(cluster: Cluster) -> None:
    cluster.pods = [pod(ready=False)]
    cluster.warns("FailedScheduling", "no node")
    cluster.tells("Normal", "sleep-1", "TriggeredScaleUp", "pod triggered scale-up: 0->1")
    with pytest.raises(NotReadyError, match="a new node is announced"):
        ready_pod(cluster.api, "here", "app=sleep", timeout=0)


@pytest.mark.parametrize("selector", ["app=sleep", "istio=egressgateway"])
def test_pods_that_are_gone_are_no_reason(cluster: Cluster, selector: str) -> None:
    cluster.tells("Warning", "sleep-1", "Unhealthy", "Readiness probe failed", subject="Pod")
    with pytest.raises(NoPodError, match="no pod was created"):
        ready_pod(cluster.api, "here", selector, timeout=0)
