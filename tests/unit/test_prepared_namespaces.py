"""Prepared namespaces are printed for an administrator; a run leaves them empty, and never deletes them."""

from __future__ import annotations

import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cli.namespaces import page
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import RUN_LABEL, Applier
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.prepared_namespaces import (
    PREPARED_LABEL,
    WORKERS,
    PreparedNamespaces,
    all_namespaces,
    empty,
    prepared_workers,
)
from pytest_istio_egress.model.mesh_facts import STOCK_GATEWAY, Fact, MeshFacts
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.run_target import Prepared, Target, TargetError, prepared_use
from pytest_istio_egress.run_target.cleanup import release
from pytest_istio_egress.run_target.prepared_use import with_prepared_namespaces

MESH = MeshFacts(
    {
        "istio": Fact("1.31.0"),
        "revision": Fact("canary"),
        "injection": Fact("istio.io/rev=canary"),
        "control-plane": Fact("istio-control"),
        "discovery-selectors": Fact('[{"matchLabels": {"mesh": "blue"}}]'),
    },
    gateway=STOCK_GATEWAY,
)


def documents(kind: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(page("team-a", 2, MESH)) if each["kind"] == kind]


def test_printed_namespaces_have_the_labels_that_the_mesh_needs() -> None:
    namespaces = {each["metadata"]["name"]: each["metadata"] for each in documents("Namespace")}
    assert namespaces.keys() - {"istio-egress"} == set(all_namespaces("team-a", 2))
    client = namespaces["egress-client-team-a-gw1"]["labels"]
    assert client["istio.io/rev"] == "canary"
    assert "istio-injection" not in client
    for name in all_namespaces("team-a", 2):
        labels = namespaces[name]["labels"]
        assert labels["mesh"] == "blue"
        assert labels[PREPARED_LABEL] == "team-a"
        assert RUN_LABEL not in labels, "a run that creates namespaces would delete it"
        assert namespaces[name]["annotations"] == {WORKERS: "2"}


def test_permission_to_change_something_is_bound_in_prepared_namespaces_only() -> None:
    bound = [each["metadata"]["namespace"] for each in documents("RoleBinding") if each["roleRef"]["kind"] != "Role"]
    assert bound == all_namespaces("team-a", 2)
    everywhere = {each["roleRef"]["name"] for each in documents("ClusterRoleBinding")}
    rules = [
        rule
        for role in (*documents("ClusterRole"), *documents("Role"))
        if role["kind"] == "Role" or role["metadata"]["name"] in everywhere
        for rule in role["rules"]
    ]
    assert all(set(rule["verbs"]) <= {"get", "list", "watch"} for rule in rules if rule["resources"] != ["pods/exec"])


def test_printed_command_names_the_gateway_of_the_mesh() -> None:
    assert "--istio-egress-gateway istio-system/istio-egressgateway\n" in page("team-a", 2, MESH)


class Kind:
    """One kind of the API, and its objects by namespace and name, each with its finalizers."""

    group_version = "v1"
    namespaced = True

    def __init__(self, kind: str, *objects: tuple[str, str], refuses: bool = False) -> None:
        self.kind = self.name = kind
        self.objects = list(objects)
        self.refuses = refuses
        self.bodies: list[object] = []

    def get(self, namespace: str, label_selector: str) -> Any:
        assert label_selector == RUN_LABEL
        if self.refuses:
            raise ApiException(403)
        items = [{"metadata": {"name": name}} for place, name in self.objects if place == namespace]
        return SimpleNamespace(to_dict=lambda: {"items": items})

    def delete(self, name: str, namespace: str, body: object) -> None:
        self.bodies.append(body)
        if name != "stuck":
            self.objects.remove((namespace, name))


class Cluster:
    """The kinds of a cluster, and the namespace with the number of prepared workers."""

    def __init__(self, *kinds: Kind, workers: str | None = "2") -> None:
        self.kinds = {kind.kind: kind for kind in kinds}
        self.core = self
        self.timeouts = Timeouts(remove=0.0)
        self.workers = workers
        self.deleted_at: datetime.datetime | None = None

    def namespaced_kinds(self, verbs: set[str]) -> list[Kind]:
        assert verbs == {"list", "delete"}
        return list(self.kinds.values())

    def resource(self, _: str, kind: str) -> Kind:
        return self.kinds[kind]

    def read_namespaced_config_map(self, *_: str) -> object:
        raise ApiException(404)

    def read_namespace(self, name: str) -> object:
        assert name == "egress-outside-team-a"
        if self.workers is None:
            raise ApiException(404)
        metadata = SimpleNamespace(
            labels={PREPARED_LABEL: "team-a"}, annotations={WORKERS: self.workers}, deletion_timestamp=self.deleted_at
        )
        return SimpleNamespace(metadata=metadata)


def test_everything_of_runs_is_deleted_but_the_lease() -> None:
    outside, client = "egress-outside-team-a", "egress-client-team-a-gw1"
    kinds = [
        Kind("Deployment", (outside, "outside"), (client, "sleep")),
        Kind("Lease", (outside, "run")),
        Kind("Service", (client, "sleep"), ("egress-client-team-b-gw0", "of others")),
        Kind("Ingress", (client, "unseen"), refuses=True),
    ]
    cluster = cast(Api, Cluster(*kinds))
    assert empty(cluster, "team-a", 2, lambda _: None) == 3
    deployments, leases, services, _ = kinds
    assert not deployments.objects
    assert deployments.bodies == [{"propagationPolicy": "Foreground"}] * 2, "it is gone when its pods are"
    assert leases.objects == [(outside, "run")]
    assert services.objects == [("egress-client-team-b-gw0", "of others")]


def test_object_that_stays_is_an_error_with_its_name() -> None:
    cluster = cast(Api, Cluster(Kind("Service", ("egress-plain-team-a", "stuck"))))
    with pytest.raises(ClusterError, match="not deleted within 0 s: service/stuck -n egress-plain-team-a"):
        empty(cluster, "team-a", 1, lambda _: None)


def test_worker_deletes_only_what_is_its_own() -> None:
    own, others = ("egress-client-team-a-gw1", "sleep"), ("egress-client-team-a-gw0", "sleep")
    services = Kind("Service", own, others, ("egress-outside-team-a", "outside"))
    PreparedNamespaces(Applier(cast(Api, Cluster(services)), Names("team-a", "gw1")), 2).clear()
    assert services.objects == [others, ("egress-outside-team-a", "outside")]


def test_worker_that_replaces_a_crashed_one_has_no_namespaces() -> None:
    with pytest.raises(ClusterError, match="no namespaces are prepared for worker gw2"):
        PreparedNamespaces(Applier(cast(Api, Cluster()), Names("team-a", "gw2")), 2).begin([])


@pytest.mark.parametrize("workers", [None, ""])
def test_namespaces_that_are_not_prepared_are_an_error_with_the_command(workers: str | None) -> None:
    with pytest.raises(ClusterError, match="istio-egress namespaces team-a"):
        prepared_workers(cast(Api, Cluster(workers=workers)), "team-a")


def test_namespace_that_is_being_deleted_is_not_used() -> None:
    cluster = Cluster()
    cluster.deleted_at = datetime.datetime.now(datetime.UTC)
    with pytest.raises(ClusterError, match="egress-outside-team-a is being deleted: once it is gone, an administrator"):
        prepared_workers(cast(Api, cluster), "team-a")


def target() -> Prepared:
    return Prepared(
        Target("context", Path("config"), "prod", "team-a", (), 1.0, allow_mesh_wide=False, prepared=True), "v1.36.0"
    )


def test_more_workers_than_prepared_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared_use, "Api", lambda *_: Cluster())
    monkeypatch.setattr(prepared_use, "check_permissions", lambda *_: None)
    with pytest.raises(TargetError, match=r"3 workers, but .* prepared for 2: use -n 2"):
        with_prepared_namespaces(target(), 3, lambda _: None)
    assert with_prepared_namespaces(target(), 2, lambda _: None).target.prepared_workers == 2


def test_namespaces_that_the_run_never_had_are_not_emptied() -> None:
    release(target(), lambda _: None)  # else it would connect to the cluster
