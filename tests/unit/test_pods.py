"""Commands in pods: lost connections are retried, missing pods are not; and pods that changed."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster import commands, exec_connection, pods
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.commands import run
from pytest_istio_egress.cluster.exec_connection import CommandResult, GoneError, LostError
from pytest_istio_egress.cluster.pods import Pod, changed_pods, only_ready
from pytest_istio_egress.model.timeouts import Timeouts

POD = Pod(namespace="here", name="sleep-1", uid="1", address="10.0.0.1", injected=True, container="curl")
API = cast(
    Api, SimpleNamespace(timeouts=Timeouts(api=5.0), new_client=lambda: None, login=SimpleNamespace(generation=0))
)


def end_with(outcomes: Iterator[CommandResult | Exception]) -> CommandResult:
    outcome = next(outcomes)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def reject_with(reason: str) -> Any:
    def reject(*_: object, **__: object) -> None:
        raise ApiException(status=0, reason=reason)

    return reject


def test_command_with_a_lost_connection_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CommandResult(stdout="all", stderr="", exit=0)
    outcomes: Iterator[CommandResult | Exception] = iter([LostError("lost"), result])
    monkeypatch.setattr(commands, "_run_alone", lambda *_: end_with(outcomes))
    assert run(API, POD, ["curl"]) == result


@pytest.mark.parametrize("error", [GoneError("gone"), ClusterError("no such container")])
def test_command_that_cannot_run_is_not_run_again(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    outcomes: Iterator[CommandResult | Exception] = iter([error])
    monkeypatch.setattr(commands, "_run_alone", lambda *_: end_with(outcomes))
    with pytest.raises(type(error)):
        run(API, POD, ["curl"])


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("Handshake status 404 Not Found -+-+- {} -+-+- b'pods \"sleep-1\" not found'", GoneError),
        ("Handshake status 503 Service Unavailable -+-+- {} -+-+- b''", LostError),
        ("[Errno 111] Connection refused", LostError),
        ("Handshake status 403 Forbidden -+-+- {} -+-+- b''", ClusterError),
    ],
)
def test_failed_exec_is_an_error_by_its_status(
    monkeypatch: pytest.MonkeyPatch, reason: str, error: type[ClusterError]
) -> None:
    monkeypatch.setattr(exec_connection, "stream", reject_with(reason))
    with pytest.raises(ClusterError, match="sleep-1") as raised:
        exec_connection.connect(API, POD, ["curl"], "curl", 1.0)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("labels", "waypoint"),
    [
        ({"gateway.istio.io/managed": "istio.io-mesh-controller"}, True),
        ({"gateway.istio.io/managed": "istio.io-gateway-controller"}, False),
        (None, False),
    ],
)
def test_pod_of_a_waypoint_is_told_by_the_label_of_its_controller(
    labels: dict[str, str] | None,
    waypoint: bool,  # noqa: FBT001  # an expected value
) -> None:
    pod = client.V1Pod(
        metadata=client.V1ObjectMeta(namespace="here", name="waypoint-1", uid="1", labels=labels),
        spec=client.V1PodSpec(containers=[client.V1Container(name="istio-proxy")]),
        status=client.V1PodStatus(conditions=[client.V1PodCondition(type="Ready", status="True")]),
    )
    assert [each.waypoint for each in only_ready([pod])] == [waypoint]


def test_changed_pods_returns_gone_and_restarted_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Pod("here", "second-1", "2", "10.0.0.2", injected=False, container="nginx")
    now = [Pod("here", "second-1", "2", "10.0.0.2", injected=False, container="nginx", restarts=1)]
    monkeypatch.setattr(pods, "ready_pods", lambda *_: now)
    gone, restarted = changed_pods(API, [POD, other])
    assert "sleep-1" in gone
    assert "second-1" in restarted
    assert changed_pods(API, now) == []


@pytest.mark.parametrize(
    ("containers", "container"),
    [
        (["istio-proxy", "curl", "httpbin"], "curl"),
        (["agent", "istio-proxy", "curl"], "curl"),
        (["istio-proxy", "app", "agent"], "app"),
        (["istio-proxy"], "istio-proxy"),
    ],
)
def test_commands_run_in_the_suites_container_wherever_a_webhook_put_others(
    containers: list[str], container: str
) -> None:
    found = client.V1Pod(
        metadata=client.V1ObjectMeta(namespace="here", name="sleep-1", uid="1"),
        spec=client.V1PodSpec(containers=[client.V1Container(name=name) for name in containers]),
        status=client.V1PodStatus(conditions=[client.V1PodCondition(type="Ready", status="True")]),
    )
    assert [pod.container for pod in pods.only_ready([found])] == [container]
