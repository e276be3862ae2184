"""Probes from a user's workload: the selector of its pods, and names that are not rendered."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress import get, tcp, workload
from pytest_istio_egress.cluster import own_workload
from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.own_workload import probing_pod, selector
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.model.case import InvalidTestError

PAYMENTS = workload("deployment/payments", namespace="payments")


def api_with(selector: dict[str, Any]) -> Mock:
    api = Mock()
    api.resource.return_value.get.return_value.to_dict.return_value = {"spec": {"selector": selector}}
    return api


@pytest.mark.parametrize("name", ["payments", "deployment/", "/payments", "pod/payments"])
def test_invalid_workload_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="deployment/NAME"):
        workload(name, namespace="payments")


def test_probe_uses_dns_unless_it_has_an_address() -> None:
    assert get("http://api.stripe.test/", client=PAYMENTS).resolve() == ()
    assert get("http://api.stripe.com/", client=PAYMENTS, to="10.0.0.1").resolve() == (
        "--resolve", "api.stripe.com:80:10.0.0.1",
    )  # fmt: skip
    assert tcp("db.example.com", 5432, client=PAYMENTS).resolve() == ()


def test_certificates_are_verified_with_the_images_authorities() -> None:
    assert "--cacert" not in get("https://api.stripe.com/", client=PAYMENTS).arguments
    assert "--cacert" in get("https://api.test/").arguments


def test_probe_from_a_users_workload_is_marked() -> None:
    assert get("http://api.test/", client=PAYMENTS).from_own_workload
    assert not get("http://api.test/").from_own_workload


def test_selector_has_the_apis_syntax() -> None:
    manifest = {
        "matchLabels": {"app": "payments"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "track", "operator": "NotIn", "values": ["canary"]},
            {"key": "live", "operator": "Exists"},
            {"key": "old", "operator": "DoesNotExist"},
        ],
    }
    text = selector(api_with(manifest), "deployment/payments", "payments")
    assert text == "app=payments,tier in (a,b),track notin (canary),live,!old"


def test_missing_workload_is_an_error_of_the_test_with_its_name() -> None:
    api = Mock()
    api.resource.return_value.get.side_effect = ApiException(status=404, reason="Not Found")
    with pytest.raises(InvalidTestError, match="namespace payments has no statefulset ledger: correct workload"):
        selector(api, "statefulset/ledger", "payments")


def api_with_states(*states: client.V1ContainerState | None) -> tuple[Mock, list[str]]:
    """Return an API whose next ephemeral container has these states, one per read, and the names of containers."""
    names: list[str] = []
    remaining = list(states)

    def patch(_name: str, _namespace: str, body: dict[str, Any]) -> None:
        names.append(body["spec"]["ephemeralContainers"][0]["name"])

    def read(*_: object) -> SimpleNamespace:
        statuses = [SimpleNamespace(name=name, state=remaining.pop(0)) for name in names]
        return SimpleNamespace(status=SimpleNamespace(ephemeral_container_statuses=statuses))

    api = Mock()
    api.now.return_value = datetime.datetime(2001, 2, 3, tzinfo=datetime.UTC)
    api.core.patch_namespaced_pod_ephemeralcontainers = patch
    api.core.read_namespaced_pod = read
    return api, names


CURL = {"image": "curl", "securityContext": {"runAsUser": 100}}


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ready pod of every workload."""
    pod = Pod("payments", "payments-1", "u", "10.0.0.1", injected=True, container="app")
    monkeypatch.setattr(own_workload, "ready_pod", lambda *_, **__: pod)
    monkeypatch.setattr(own_workload, "selector", lambda *_: "app=payments")


WAITING = client.V1ContainerState(
    waiting=client.V1ContainerStateWaiting(reason="ErrImagePull", message="no such image")
)
RUNNING = client.V1ContainerState(running=client.V1ContainerStateRunning())
EXITED = client.V1ContainerState(terminated=client.V1ContainerStateTerminated(exit_code=1, message="no sleep"))


@pytest.mark.usefixtures("ready")
def test_container_is_used_as_soon_as_it_runs() -> None:
    api, names = api_with_states(None, WAITING, RUNNING)
    assert probing_pod(api, PAYMENTS, CURL, timeout=5).container == names[0]


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(
    ("state", "message"),
    [(WAITING, "did not start within 0 s: ErrImagePull no such image"), (EXITED, "exited: no sleep")],
)
def test_container_that_does_not_run_is_an_error_with_the_reason(state: client.V1ContainerState, message: str) -> None:
    api, _ = api_with_states(state)
    with pytest.raises(ClusterError, match=message):
        probing_pod(api, PAYMENTS, CURL, timeout=0)
