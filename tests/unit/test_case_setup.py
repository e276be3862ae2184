"""What the setup of a test creates, applies and waits for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_cluster import (
    CASE,
    CLIENTS,
    POD,
    FakeAccessLogs,
    FakeApplier,
    FakeEnvironment,
    FakeProxySync,
    case_setup,
    worker_context,
)
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.additions import WITHOUT_ENVOY_FILTERS
from pytest_istio_egress.cluster.apply import RefusedError
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.readiness import NoPodError
from pytest_istio_egress.model.access_log import parse_line
from pytest_istio_egress.pipeline.case_setup import CaseSetup

OWN_WORKLOAD = "deployment/payments.payments"


@pytest.fixture
def environment() -> FakeEnvironment:
    return FakeEnvironment()


@pytest.fixture
def logs() -> FakeAccessLogs:
    return FakeAccessLogs()


@pytest.fixture
def applier() -> FakeApplier:
    return FakeApplier()


@pytest.fixture
def proxy_sync() -> FakeProxySync:
    return FakeProxySync()


@pytest.fixture
def setup(
    environment: FakeEnvironment, logs: FakeAccessLogs, applier: FakeApplier, proxy_sync: FakeProxySync
) -> CaseSetup:
    return case_setup(worker_context(environment, logs), applier, proxy_sync)


def test_test_without_manifests_creates_no_environment(setup: CaseSetup, environment: FakeEnvironment) -> None:
    assert setup.enter(CASE)
    assert setup.pod(OWN_WORKLOAD) == POD
    assert environment.builds == 0


@pytest.mark.parametrize(
    "need",
    [
        lambda setup: setup.pod(CLIENTS[1]),
        lambda setup: setup.config(CLIENTS[1]),
        lambda setup: setup.enter(replace(CASE, fixtures=("forward_proxy.yaml",))),
    ],
    ids=["client pod", "client configuration", "fixture"],
)
def test_environment_is_created_when_first_needed(
    setup: CaseSetup, environment: FakeEnvironment, need: Callable[[CaseSetup], object]
) -> None:
    need(setup)
    assert environment.builds == 1


def test_manifests_need_the_environment(
    setup: CaseSetup, environment: FakeEnvironment, applier: FakeApplier, tmp_path: Path
) -> None:
    manifest = tmp_path / "entry.yaml"
    manifest.write_text("{kind: ServiceEntry}")
    setup.enter(replace(CASE, manifests=(manifest,)))
    assert environment.builds == 1
    assert applier.applied == ["ServiceEntry"]


def test_environment_is_created_once(setup: CaseSetup, environment: FakeEnvironment) -> None:
    setup.ensure_environment()
    setup.enter(CASE)
    setup.ensure_environment()
    assert environment.builds == 1
    assert setup.context.names.addresses["192.0.2.80"] == "10.96.0.7"


def test_environment_created_during_a_test_is_synced_and_followed(
    setup: CaseSetup, logs: FakeAccessLogs, proxy_sync: FakeProxySync
) -> None:
    setup.enter(CASE)
    before = proxy_sync.waits
    setup.ensure_environment()
    assert proxy_sync.waits == before + 1
    assert logs.followed == [POD] * len(CLIENTS)


def test_proxies_that_get_no_envoy_filters_get_other_additions(
    environment: FakeEnvironment, logs: FakeAccessLogs, applier: FakeApplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProxyConfig, "log_problem", lambda *_: "there is none")
    sync = FakeProxySync("EnvoyFilter")
    setup = case_setup(worker_context(environment, logs), applier, sync)
    setup.ensure_environment()
    assert environment.additions is WITHOUT_ENVOY_FILTERS
    assert logs.parse_own is parse_line
    # The other access log is waited for, too.
    assert sync.waited == ["EnvoyFilter", "AuthorizationPolicy", "AuthorizationPolicy"]
    assert environment.notes[0] == "the control plane ignores EnvoyFilters"
    setup.sync()
    assert sync.waited[-1] == "AuthorizationPolicy"


@pytest.mark.parametrize(("problem", "notes"), [("there is none", 1), ("", 0), (None, 0)])
def test_log_of_the_mesh_is_judged_once_by_a_proxy(
    setup: CaseSetup,
    environment: FakeEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    problem: str | None,
    notes: int,
) -> None:
    monkeypatch.setattr(ProxyConfig, "log_problem", lambda *_: problem)
    environment.additions = WITHOUT_ENVOY_FILTERS
    setup.ensure_environment()
    assert bool(setup.log_problem) is bool(problem)
    assert len(environment.notes) == notes


def test_same_test_is_not_set_up_twice(setup: CaseSetup, proxy_sync: FakeProxySync) -> None:
    assert setup.enter(CASE)
    waits = proxy_sync.waits
    assert not setup.enter(CASE)
    assert proxy_sync.waits == waits


def test_manifest_filters_replace_the_documents_of_each_step(
    setup: CaseSetup, applier: FakeApplier, tmp_path: Path
) -> None:
    manifest = tmp_path / "entry.yaml"
    manifest.write_text("{kind: ServiceEntry}")
    setup.first_manifests = lambda _: [{"kind": "First"}]
    setup.later_manifests = lambda _: [{"kind": "Later"}]
    setup.enter(replace(CASE, manifests=(manifest,)))
    setup.add(manifest)
    assert applier.applied == ["First", "Later"]
    assert setup.case is None


def test_manifest_is_rendered_once_per_step(setup: CaseSetup, applier: FakeApplier, tmp_path: Path) -> None:
    manifest = tmp_path / "entry.yaml"
    manifest.write_text("{kind: ServiceEntry}")
    for step in (
        lambda: setup.enter(replace(CASE, manifests=(manifest,))),
        lambda: setup.add(manifest),
        lambda: setup.remove(manifest),
    ):
        applier.rendered_kinds.clear()
        step()
        assert applier.rendered_kinds == ["ServiceEntry"]
    assert setup.documents == []


@pytest.mark.parametrize(("kind", "markers"), [("networking.istio.io/v1 ServiceEntry", 1), ("v1 Service", 2)])
def test_second_marker_follows_what_markers_may_overtake(
    setup: CaseSetup, proxy_sync: FakeProxySync, kind: str, markers: int, tmp_path: Path
) -> None:
    api_version, _, name = kind.partition(" ")
    manifest = tmp_path / "a.yaml"
    manifest.write_text(f"{{apiVersion: {api_version}, kind: {name}}}")
    setup.ensure_environment()
    for step in (
        lambda: setup.enter(replace(CASE, manifests=(manifest,))),
        lambda: setup.add(manifest),
        lambda: setup.remove(manifest),
    ):
        before = proxy_sync.waits
        step()
        assert proxy_sync.waits == before + markers


def own_objects(setup: CaseSetup, applier: FakeApplier, namespace: str) -> list[str]:
    """Set a test up that applies a ServiceEntry in a namespace; return the namespaces of what was claimed."""
    claimed: list[str] = []
    applier.api = SimpleNamespace(
        resource=lambda *_: SimpleNamespace(namespaced=True, get=gone, server_side_apply=noted)
    )

    def gone(**resource: str) -> None:
        claimed.append(resource["namespace"])
        raise ApiException(status=404)

    def noted(**_: object) -> None:
        return

    setup.first_manifests = lambda _: [{"kind": "ServiceEntry", "metadata": {"name": "api", "namespace": namespace}}]
    setup.enter(CASE)
    return claimed


def test_proxy_of_an_own_workload_is_waited_for_where_the_test_applies_something_in_its_namespace(
    setup: CaseSetup, applier: FakeApplier, proxy_sync: FakeProxySync
) -> None:
    claimed = own_objects(setup, applier, POD.namespace)
    waits = proxy_sync.waits
    assert setup.sync_workloads([OWN_WORKLOAD])
    assert proxy_sync.waits == waits + 1
    assert claimed == [POD.namespace, POD.namespace], "the ServiceEntry and the marker"
    assert setup.sync_workloads([OWN_WORKLOAD])
    assert proxy_sync.waits == waits + 1, "nothing has changed since"
    assert setup.sync_workloads_again([OWN_WORKLOAD])
    assert proxy_sync.waits == waits + 2
    setup.leave()
    assert ("EnvoyFilter", POD.namespace) in [(each.kind, each.namespace) for each in applier.removed]


def test_no_marker_is_applied_in_a_namespace_that_the_test_leaves_alone(
    setup: CaseSetup, applier: FakeApplier, proxy_sync: FakeProxySync
) -> None:
    claimed = own_objects(setup, applier, "platform")
    waits = proxy_sync.waits
    assert not setup.sync_workloads([OWN_WORKLOAD])
    assert (proxy_sync.waits, claimed) == (waits, ["platform"])


def test_proxy_of_an_own_workload_is_not_waited_for_where_envoy_filters_are_ignored(
    setup: CaseSetup, applier: FakeApplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup.ensure_environment()
    monkeypatch.setattr(setup, "_proxy_sync", FakeProxySync().by(WITHOUT_ENVOY_FILTERS.markers))
    own_objects(setup, applier, POD.namespace)
    assert not setup.sync_workloads([OWN_WORKLOAD])


def test_proxy_of_an_own_workload_is_not_waited_for_where_its_namespace_takes_no_envoy_filter(
    setup: CaseSetup, applier: FakeApplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_objects(setup, applier, POD.namespace)

    def refuse(*_: object) -> None:
        raise RefusedError("admission webhook denied the request")

    monkeypatch.setattr(FakeProxySync, "wait", refuse)
    assert not setup.sync_workloads([OWN_WORKLOAD])


def test_own_workload_without_a_pod_is_left_to_its_probe(
    setup: CaseSetup, applier: FakeApplier, environment: FakeEnvironment
) -> None:
    own_objects(setup, applier, POD.namespace)
    environment.pod_error = NoPodError("no pod was created")
    assert setup.sync_workloads([OWN_WORKLOAD])
