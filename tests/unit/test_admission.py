"""What the cluster refuses is known before anything is tested: by dry runs of the run's objects."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster import admission
from pytest_istio_egress.cluster.admission import (
    Admission,
    AdmissionCheck,
    PreparedAdmissionCheck,
    refusal_of,
    smallest_of_each_kind,
)
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import load
from pytest_istio_egress.cluster.environment import ENVIRONMENT
from pytest_istio_egress.cluster.names import AMBIENT_NAMESPACE, Names
from pytest_istio_egress.cluster.refusals import by_message, is_of_the_cluster, with_hint
from pytest_istio_egress.model.placement import Placement
from pytest_istio_egress.suite.discovery import fixtures_folder, manifest_files, suite_folder

POLICY = "ValidatingAdmissionPolicy 'company' with binding 'all' denied request"
PROXY_IMAGE = "r.example/proxyv2:1"

Rule = Callable[[dict[str, Any]], str]
"""Returns why an object is refused, empty where it is not."""


class Cluster:
    """An API server with one rule; `injects` says whether pods get a sidecar, `labels` are those of the namespace."""

    def __init__(self, rule: Rule, *, injects: bool = True) -> None:
        self.rule = rule
        self.injects = injects
        self.labels: dict[str, str] = {"istio-injection": "enabled"}
        self.deleted: list[str] = []
        self.stored: list[str] = []
        self.core = self
        self.timeouts = SimpleNamespace(api=0.0, role=0.0)

    def resource(self, _: str, __: str) -> Any:
        return SimpleNamespace(server_side_apply=self._apply)

    def _apply(self, body: dict[str, Any], dry_run: str = "", **_: object) -> None:
        self._judge(body)
        if not dry_run:
            self.stored.append(body["kind"])

    def _judge(self, body: dict[str, Any]) -> None:
        if why := self.rule(body):
            error = ApiException(403, "Forbidden")
            error.body = f'{{"message": "{why}"}}'
            raise error

    def create_namespaced_pod(self, _: str, body: dict[str, Any], dry_run: str) -> Any:
        assert dry_run == "All"
        sent = copy.deepcopy(body)
        sent["namespace labels"] = self.labels
        self._judge(sent)
        images = [PROXY_IMAGE] * (self.injects and body["metadata"]["labels"].get("sidecar.istio.io/inject") != "false")
        proxies = [SimpleNamespace(name="istio-proxy", image=image) for image in images]
        return SimpleNamespace(spec=SimpleNamespace(init_containers=proxies, containers=[]))

    def patch_namespace(self, _: str, body: dict[str, Any]) -> None:
        labels = body["metadata"]["labels"]
        self._judge({"kind": "Namespace", "metadata": {"labels": labels}})
        self.labels.update(labels)

    def read_namespace(self, _: str) -> Any:
        return SimpleNamespace(metadata=SimpleNamespace(labels=self.labels))

    def list_namespaced_pod(self, *_: object, **__: object) -> Any:
        return SimpleNamespace(items=[SimpleNamespace(status=SimpleNamespace(pod_ip="10.244.0.7"))])

    def delete_namespace(self, name: str) -> None:
        self.deleted.append(name)

    def now(self) -> Any:
        return SimpleNamespace(strftime=lambda _: "")


@cache
def shipped() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the documents that every test needs, and those that only some tests need."""
    fixtures = fixtures_folder()
    everywhere = [fixtures / f"{name}.yaml" for name in ENVIRONMENT]
    others = [file for file in fixtures.glob("*.yaml") if file not in everywhere]
    return load(everywhere), load([*others, *manifest_files(suite_folder())])


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Callable[[Cluster], Admission]:
    """Tries the shipped manifests on a cluster."""
    monkeypatch.setattr(admission, "why_no_exec", lambda *_: "")
    monkeypatch.setattr(admission, "_AGAIN", 0.0)

    def run(cluster: Cluster, placement: Placement = Placement()) -> Admission:  # noqa: B008  # frozen
        result = AdmissionCheck(cast(Api, cluster), Names("k3x9q", "gw0", placement=placement), *shipped()).run()
        assert set(cluster.stored) <= {"Namespace", "Lease"}, "everything else is a dry run"
        assert not cluster.stored or cluster.deleted == ["egress-client-k3x9q-check"]
        return result

    return run


def refuses(*kinds: str) -> Rule:
    return lambda body: POLICY if body["kind"] in kinds else ""


def test_nothing_is_refused_where_no_rule_refuses(check: Callable[[Cluster], Admission]) -> None:
    accepted = check(Cluster(lambda _: ""))
    assert (accepted.needed, accepted.other) == ({}, {})
    assert accepted.placement == Placement(pod_security=False)


@pytest.mark.parametrize("kind", ["Namespace", "Service", "ConfigMap", "Secret"])
def test_refused_kind_that_every_test_needs_stops_the_run(kind: str, check: Callable[[Cluster], Admission]) -> None:
    refused = check(Cluster(refuses(kind)))
    assert POLICY in refused.needed[kind]


@pytest.mark.parametrize(
    "kind", ["Endpoints", "EndpointSlice", "NetworkPolicy", "HTTPRoute", "VirtualService", "EnvoyFilter"]
)
def test_refused_kind_of_some_tests_skips_these(kind: str, check: Callable[[Cluster], Admission]) -> None:
    refused = check(Cluster(refuses(kind)))
    assert refused.needed == {}
    assert list(refused.other) == [kind]


def test_run_needs_one_kind_of_marker(check: Callable[[Cluster], Admission]) -> None:
    refused = check(Cluster(refuses("EnvoyFilter", "AuthorizationPolicy")))
    assert refused.needed.keys() == {"EnvoyFilter", "AuthorizationPolicy"}
    assert refused.other == {}


def test_kind_of_marker_that_is_not_served_counts_as_refused(check: Callable[[Cluster], Admission]) -> None:
    cluster = Cluster(lambda _: "")
    served = cluster.resource

    def resource(api_version: str, kind: str) -> Any:
        if kind == "EnvoyFilter":
            raise ClusterError(f"the cluster does not serve {kind} of {api_version}")
        return served(api_version, kind)

    cluster.resource = resource  # type: ignore[assignment]  # this cluster lacks a kind
    assert check(cluster).other == {
        "EnvoyFilter": "the cluster does not serve EnvoyFilter of networking.istio.io/v1alpha3"
    }


def test_pod_that_a_policy_refuses_is_found_although_its_deployment_is_accepted(
    check: Callable[[Cluster], Admission],
) -> None:
    assert "Deployment sleep" in check(Cluster(refuses("Pod"))).needed


def test_labels_of_the_run_satisfy_a_policy(check: Any) -> None:
    def rule(body: dict[str, Any]) -> str:
        return "" if (body["metadata"].get("labels") or {}).get("team") == "payments" else POLICY

    assert check(Cluster(rule), Placement(labels={"team": "payments"})).needed == {}
    assert check(Cluster(rule)).needed


def violates_baseline(body: dict[str, Any]) -> str:
    """Refuse injected pods unless their namespace is privileged, as a default level without Istio CNI does."""
    injected = body["kind"] == "Pod" and body["metadata"]["labels"].get("sidecar.istio.io/inject") != "false"
    level = body.get("namespace labels", {}).get("pod-security.kubernetes.io/enforce")
    return 'violates PodSecurity \\"baseline:latest\\": NET_ADMIN' if injected and level != "privileged" else ""


def test_pod_security_labels_are_set_only_where_a_pod_needs_one(check: Callable[[Cluster], Admission]) -> None:
    accepted = check(Cluster(violates_baseline))
    assert accepted.needed == {}
    assert accepted.placement.pod_security, "of all namespaces: the first label decides what shows of later pods"


def test_refused_pod_security_label_is_told_with_the_reason(check: Callable[[Cluster], Admission]) -> None:
    def rule(body: dict[str, Any]) -> str:
        labels = body["metadata"].get("labels") or {}
        forbidden = body["kind"] == "Namespace" and any(name.startswith("pod-security") for name in labels)
        return POLICY if forbidden else violates_baseline(body)

    (why,) = check(Cluster(rule)).needed.values()
    assert "violates PodSecurity" in why
    assert f"label pod-security.kubernetes.io/enforce was refused: {POLICY}" in why


def test_pod_without_a_sidecar_stops_the_run(check: Callable[[Cluster], Admission]) -> None:
    (why,) = check(Cluster(lambda _: "", injects=False)).needed.values()
    assert "without a sidecar: the injection webhook was not called" in why
    assert "failurePolicy Ignore" in with_hint(why), "the API server may not reach it"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"istio-injection": "disabled"}, "has istio-injection=disabled in place of istio-injection=enabled"),
        ({"team": "a"}, "has no injection label in place of istio-injection=enabled"),
        (
            {"istio-injection": "enabled", "istio.io/rev": "old"},
            "has istio-injection=enabled, istio.io/rev=old in place of istio-injection=enabled",
        ),
    ],
)
def test_changed_labels_of_a_namespace_are_the_reason(
    check: Callable[[Cluster], Admission], labels: dict[str, str], words: str
) -> None:
    cluster = Cluster(lambda _: "", injects=False)
    cluster.labels = labels
    (why,) = check(cluster).needed.values()
    assert words in why
    assert "exempt those with the label istio-egress.dev/run" in why


def test_gateway_gets_the_proxys_image_where_a_policy_refuses_auto(check: Callable[[Cluster], Admission]) -> None:
    def rule(body: dict[str, Any]) -> str:
        return POLICY if body["kind"] == "Deployment" and "'image': 'auto'" in str(body) else ""

    accepted = check(Cluster(rule))
    assert (accepted.needed, accepted.other) == ({}, {})
    assert accepted.placement.proxy_image == PROXY_IMAGE


def test_gateway_that_is_refused_with_any_image_skips_its_tests(check: Callable[[Cluster], Admission]) -> None:
    def rule(body: dict[str, Any]) -> str:
        return POLICY if body["kind"] == "Deployment" and body["metadata"]["name"] == "exit" else ""

    assert list(check(Cluster(rule)).other) == ["Deployment exit"]


class PreparedCluster(Cluster):
    """One with prepared namespaces, in which pods are tried."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self.tried_in: set[str] = set()

    def create_namespaced_pod(self, namespace: str, body: dict[str, Any], dry_run: str) -> Any:
        self.tried_in.add(namespace)
        return super().create_namespaced_pod(namespace, body, dry_run)


@pytest.fixture
def prepared_check(monkeypatch: pytest.MonkeyPatch) -> Callable[[PreparedCluster], Admission]:
    """Tries the shipped manifests in prepared namespaces, and stores nothing."""
    monkeypatch.setattr(admission, "why_no_exec", lambda *_: "")
    monkeypatch.setattr(admission, "_AGAIN", 0.0)

    def run(cluster: PreparedCluster) -> Admission:
        everywhere, others = shipped()
        others = [each for each in others if each["metadata"].get("namespace") != AMBIENT_NAMESPACE]
        result = PreparedAdmissionCheck(cast(Api, cluster), Names("team-a", ""), everywhere, others).run()
        assert not cluster.stored
        assert not cluster.deleted
        return result

    return run


def test_pods_are_tried_in_the_prepared_namespaces_they_will_be_in(
    prepared_check: Callable[[PreparedCluster], Admission],
) -> None:
    cluster = PreparedCluster(lambda _: "")
    accepted = prepared_check(cluster)
    assert (accepted.needed, accepted.other, accepted.placement) == ({}, {}, Placement())
    assert cluster.tried_in == {
        "egress-outside-team-a", "egress-plain-team-a", "egress-client-team-a-gw0", "egress-neighbour-team-a-gw0",
        "egress-gateway-team-a-gw0",
    }  # fmt: skip


def test_labels_of_prepared_namespaces_are_not_changed(
    prepared_check: Callable[[PreparedCluster], Admission],
) -> None:
    cluster = PreparedCluster(violates_baseline)
    assert "violates PodSecurity" in prepared_check(cluster).needed["Deployment sleep"]
    assert cluster.labels == {"istio-injection": "enabled"}


def refusing(status: int, message: str) -> Callable[[], None]:
    def request() -> None:
        error = ApiException(status, "")
        error.body = f'{{"message": "{message}"}}'
        raise error

    return request


def test_new_namespace_without_its_service_account_is_waited_for() -> None:
    answers = ["error looking up service account a/default: serviceaccount not found", ""]

    def request() -> None:
        if answers.pop(0):
            refusing(403, "error looking up service account a/default: serviceaccount not found")()

    assert refusal_of(request) == ""
    assert not answers


@pytest.mark.parametrize("status", [0, 401])
def test_lost_connection_and_refused_credentials_are_errors(status: int) -> None:
    with pytest.raises(ClusterError):
        refusal_of(refusing(status, "Unauthorized"))


@pytest.mark.parametrize(
    "message",
    [
        "spec.resolution: Unsupported value",
        'admission webhook \\"rev.validation.istio.io\\" denied the request: no hosts',
        'admission webhook \\"a.example\\" does not support dry run',
        'is forbidden: User \\"ci\\" cannot patch resource \\"roles\\"',
        'is forbidden: user \\"ci\\" is attempting to grant RBAC permissions not currently held',
    ],
)
def test_refusal_of_one_manifest_or_user_is_none_of_the_cluster(message: str) -> None:
    assert refusal_of(refusing(422, message)) == ""
    assert not is_of_the_cluster(message.replace("\\", ""))


@pytest.mark.parametrize(
    "message",
    [
        "image policy webhook backend denied one or more images: not signed",
        "pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist",
    ],
)
def test_refusal_by_an_admission_plugin_is_one_of_the_cluster(message: str) -> None:
    assert refusal_of(refusing(403, f"pods is forbidden: {message}"))


def test_smallest_object_stands_for_its_kind() -> None:
    small, large = ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}} for name in ("a", "aaaa"))
    assert smallest_of_each_kind([large, small]) == [small]


def test_rule_is_told_once_for_all_kinds_that_it_refuses() -> None:
    first, second = (f"{kind} is forbidden: {POLICY}: team missing" for kind in ("pods", "services"))
    assert by_message({"Pod": first, "Service": second, "Lease": "other"}) == {
        first: ["Pod", "Service"],
        "other": ["Lease"],
    }
