"""What a manifest creates outside of the run's namespaces is noted before, and deleted with the run."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import RUN_LABEL, Applier, Resource
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.objects_elsewhere import ObjectsElsewhere, delete_objects, noted_objects
from pytest_istio_egress.cluster.run_lease import leftover_runs, remove
from pytest_istio_egress.model.case import InvalidTestError
from pytest_istio_egress.model.timeouts import Timeouts

RULES = Resource("networking.istio.io/v1", "EnvoyFilter", "istio-system", "rules")
ROLE = Resource("rbac.authorization.k8s.io/v1", "ClusterRole", "egress-client-k3x9q-gw0", "rules")
NAMESPACE = Resource("v1", "Namespace", None, "payments")
OWN = Resource("networking.istio.io/v1", "EnvoyFilter", "egress-client-k3x9q-gw0", "rules")


class Kind:
    """One kind of the API: which of its objects exist, with the run that each belongs to."""

    def __init__(self, cluster: "Cluster", kind: str) -> None:
        self.cluster = cluster
        self.kind = kind
        self.namespaced = kind not in ("ClusterRole", "Namespace")

    def get(self, name: str, namespace: str | None) -> Any:
        if self.cluster.refuses:
            raise ApiException(403, "forbidden")
        if (self.kind, name) not in self.cluster.owners:
            raise ApiException(404, f"{namespace}/{name} not found")
        run = self.cluster.owners[self.kind, name]
        return SimpleNamespace(to_dict=lambda: {"metadata": {"labels": {RUN_LABEL: run} if run else None}})

    def server_side_apply(self, body: Any, name: str, namespace: str, **_: object) -> None:
        assert (self.kind, namespace) == ("ConfigMap", "egress-outside-k3x9q")
        assert body["metadata"]["name"] == name
        assert body["metadata"]["labels"] == {RUN_LABEL: "k3x9q"}
        self.cluster.notes = (self.cluster.notes or {}) | body["data"]

    def delete(self, name: str, namespace: str | None) -> None:
        self.cluster.deleted.append(f"{self.kind} {namespace}/{name}")


class Cluster:
    """The namespace of one run, with its ConfigMap of notes."""

    def __init__(self) -> None:
        self.owners: dict[tuple[str, str], str | None] = {}
        self.deleted: list[str] = []
        self.notes: dict[str, str] | None = None
        self.refuses = False
        self.timeouts = Timeouts()
        self.core = self
        self.namespace = SimpleNamespace(
            name="egress-outside-k3x9q", labels={RUN_LABEL: "k3x9q"}, deletion_timestamp=None
        )

    def resource(self, _: str, kind: str) -> Kind:
        return Kind(self, kind)

    def read_namespaced_config_map(self, name: str, namespace: str) -> object:
        if self.notes is None:
            raise ApiException(404, f"{namespace}/{name} not found")
        return SimpleNamespace(data=self.notes)

    def list_namespace(self, **_: object) -> object:
        return SimpleNamespace(items=[] if self.namespace is None else [SimpleNamespace(metadata=self.namespace)])

    def delete_namespace(self, name: str) -> None:
        self.deleted.append(name)
        self.namespace = cast(Any, None)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def worker(cluster: Cluster, name: str = "gw0") -> ObjectsElsewhere:
    return ObjectsElsewhere(Applier(cast(Api, cluster), Names("k3x9q", name)))


def noted(cluster: Cluster) -> tuple[Resource, ...]:
    return noted_objects(cast(Api, cluster), "k3x9q")


@pytest.mark.parametrize("resource", [RULES, ROLE, NAMESPACE], ids=lambda resource: resource.kind)
def test_object_outside_of_the_namespaces_is_noted(cluster: Cluster, resource: Resource) -> None:
    worker(cluster).claim([resource])
    assert noted(cluster) == (resource,)


def test_object_in_the_namespaces_is_not_noted(cluster: Cluster) -> None:
    worker(cluster).claim([OWN])
    assert noted(cluster) == ()


def test_objects_of_all_workers_are_noted_once(cluster: Cluster) -> None:
    first, second = worker(cluster), worker(cluster, "gw1")
    first.claim([RULES])
    first.claim([ROLE])
    second.claim([RULES])
    assert noted(cluster) == (RULES, ROLE)


def test_name_of_the_run_in_the_name_of_an_object_is_noted_as_it_is(cluster: Cluster) -> None:
    rendered = replace(RULES, name="api.k3x9q.test")
    worker(cluster).claim([rendered])
    assert noted_objects(cast(Api, cluster), "k3x9q") == (rendered,)


@pytest.mark.parametrize(
    ("owner", "whose"), [(None, "is not the suite's"), ("abc234", "belongs to run abc234")], ids=["user", "other run"]
)
def test_object_of_others_is_not_changed(cluster: Cluster, owner: str | None, whose: str) -> None:
    cluster.owners["EnvoyFilter", "rules"] = owner
    with pytest.raises(InvalidTestError, match=f"envoyfilter/rules -n istio-system exists already and {whose}"):
        worker(cluster).claim([RULES])
    assert noted(cluster) == ()


def test_namespace_of_the_user_is_not_changed(cluster: Cluster) -> None:
    cluster.owners["Namespace", "payments"] = None
    with pytest.raises(InvalidTestError, match="namespace/payments exists already"):
        worker(cluster).claim([NAMESPACE])


def test_own_object_may_be_applied_again(cluster: Cluster) -> None:
    cluster.owners["EnvoyFilter", "rules"] = "k3x9q"
    worker(cluster).claim([RULES])


@pytest.mark.parametrize(
    "step",
    [
        lambda cluster: worker(cluster).claim([RULES]),
        lambda cluster: delete_objects(cast(Api, cluster), "k3x9q", [RULES]),
    ],
    ids=["claim", "delete"],
)
def test_missing_permission_is_an_error_with_the_object(cluster: Cluster, step: Callable[[Cluster], None]) -> None:
    cluster.refuses = True
    with pytest.raises(ClusterError, match="envoyfilter/rules -n istio-system"):
        step(cluster)


def test_end_of_a_run_deletes_its_objects_before_its_namespaces(cluster: Cluster) -> None:
    worker(cluster).claim([RULES, ROLE])
    cluster.owners |= {("EnvoyFilter", "rules"): "k3x9q", ("ClusterRole", "rules"): "k3x9q"}
    remove(cast(Api, cluster), "k3x9q")
    assert cluster.deleted == [
        "ClusterRole egress-client-k3x9q-gw0/rules", "EnvoyFilter istio-system/rules", "egress-outside-k3x9q"
    ]  # fmt: skip


@pytest.mark.parametrize("owner", [None, "abc234"], ids=["user", "other run"])
def test_object_that_became_another_ones_is_not_deleted(cluster: Cluster, owner: str | None) -> None:
    cluster.owners["EnvoyFilter", "rules"] = owner
    delete_objects(cast(Api, cluster), "k3x9q", [RULES])
    assert not cluster.deleted


def test_objects_of_a_killed_run_are_shown(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    worker(cluster).claim([RULES])
    monkeypatch.setattr("pytest_istio_egress.cluster.run_lease._alive", lambda *_: False)
    [run] = leftover_runs(cast(Api, cluster))
    assert run.elsewhere == (RULES,)
