"""A lease is valid by the API server's clock, regardless of the clocks of other machines."""

import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import RUN_LABEL
from pytest_istio_egress.cluster.lease_renewal import HELD_FOR
from pytest_istio_egress.cluster.run_lease import RunLease, leftover_runs, remove, remove_leftovers
from pytest_istio_egress.model.timeouts import Timeouts

SERVER = datetime.datetime(2001, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
"""Different from the clock of the machine that runs this test."""


class Cluster:
    """One run's namespace and lease, and the API server's clock."""

    def __init__(self) -> None:
        self.clock = SERVER
        self.renewed: datetime.datetime | None = None
        self.deleted: datetime.datetime | None = None
        self.core = self
        self.client = None

    def now(self) -> datetime.datetime:
        return self.clock

    def list_namespace(self, **_: object) -> object:
        metadata = SimpleNamespace(
            name="egress-outside-abcdef",
            labels={RUN_LABEL: "abcdef"},
            creation_timestamp=SERVER - datetime.timedelta(hours=1),
            deletion_timestamp=self.deleted,
        )
        return SimpleNamespace(items=[SimpleNamespace(metadata=metadata)])

    def read_namespaced_config_map(self, *_: str) -> object:
        raise ApiException(404)  # no test created objects elsewhere

    def read_namespace(self, _: str) -> object:
        raise ApiException(404)  # it is gone since it was listed

    def delete_namespace(self, name: str) -> None:
        raise AssertionError(f"{name} is being deleted already")

    def resource(self, *_: str) -> object:
        return self

    def server_side_apply(self, body: Any, **_: object) -> None:
        time = body["spec"]["renewTime"]
        assert "." in time, "the API server requires the fraction of a MicroTime even where it is zero"
        self.renewed = datetime.datetime.fromisoformat(time)

    def list_namespaced_lease(self, *_: object, **__: object) -> object:
        spec = SimpleNamespace(renew_time=self.renewed, lease_duration_seconds=HELD_FOR)
        return SimpleNamespace(items=[SimpleNamespace(spec=spec)] if self.renewed else [])


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    stand_in = Cluster()
    monkeypatch.setattr(client, "CoordinationV1Api", lambda _: stand_in)
    return stand_in


def alive(cluster: Cluster) -> bool:
    (run,) = leftover_runs(cast(Api, cluster))
    return run.alive


def test_run_is_alive_as_long_as_its_lease(cluster: Cluster) -> None:
    assert not alive(cluster)
    RunLease(cast(Api, cluster), "abcdef", "egress-outside-abcdef")._renew()
    cluster.clock += datetime.timedelta(seconds=HELD_FOR - 1)
    assert alive(cluster)
    cluster.clock += datetime.timedelta(seconds=2)
    assert not alive(cluster)


def test_run_that_is_just_ending_is_left_alone(cluster: Cluster) -> None:
    cluster.deleted = SERVER
    said: list[str] = []
    remove_leftovers(cast(Api, cluster), said.append)
    assert not said


STATUS = SimpleNamespace(
    conditions=[
        SimpleNamespace(type="NamespaceContentRemaining", status="False", message="all gone"),
        SimpleNamespace(
            type="NamespaceDeletionDiscoveryFailure",
            status="True",
            message="stale GroupVersion discovery: dead.example/v1",
        ),
    ]
)


class Namespaces:
    """The namespaces of a run, of which one is gone with every list."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.deleted: list[str] = []

    def list_namespace(self, **_: object) -> object:
        items = [SimpleNamespace(metadata=SimpleNamespace(name=name), status=STATUS) for name in self.names]
        if self.deleted:
            del self.names[:1]
        return SimpleNamespace(items=items)

    def read_namespaced_config_map(self, *_: str) -> object:
        raise ApiException(404)  # no test created objects elsewhere

    def delete_namespace(self, name: str) -> None:
        self.deleted.append(name)


def test_remove_waits_until_all_namespaces_are_gone() -> None:
    namespaces = Namespaces("a", "b")
    api = SimpleNamespace(core=namespaces, timeouts=Timeouts())
    assert remove(cast(Api, api), "abcdef") == ["a", "b"]
    assert namespaces.deleted == ["a", "b"]
    assert not namespaces.names


def not_removed(broken: list[str]) -> str:
    api = SimpleNamespace(core=Namespaces("a", "b"), timeouts=Timeouts(remove=0.0), broken_api_services=lambda: broken)
    with pytest.raises(ClusterError) as caught:
        remove(cast(Api, api), "abcdef")
    return str(caught.value)


def test_namespaces_that_stay_are_an_error_that_names_the_broken_api_service() -> None:
    assert not_removed(["v1.dead.example"]) == (
        "namespaces a, b were not deleted within 0 s: APIService v1.dead.example does not answer, so this cluster can "
        "delete no namespace; they go by themselves once it is mended or deleted (`kubectl get apiservice "
        "v1.dead.example`)"
    )


def test_namespaces_that_stay_for_another_reason_are_an_error_with_their_conditions() -> None:
    why = "NamespaceDeletionDiscoveryFailure: stale GroupVersion discovery: dead.example/v1"
    assert not_removed([]) == f"namespaces a, b were not deleted within 0 s: {why}"
