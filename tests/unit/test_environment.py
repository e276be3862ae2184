"""The environment is created once; a failure to create it is final for the run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress.cluster.additions import WITH_ENVOY_FILTERS, WITHOUT_ENVOY_FILTERS
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import Applier, RefusedError
from pytest_istio_egress.cluster.environment import Environment, server_addresses
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.model.case import InvalidTestError
from pytest_istio_egress.suite.discovery import fixtures_folder


def test_failed_creation_is_reported_again_without_another_try(tmp_path: Path) -> None:
    environment = Environment(cast(Api, None), Names("k3x9q", "gw0"), tmp_path, 1.0, WITH_ENVOY_FILTERS)
    with pytest.raises(InvalidTestError, match=r"outside\.yaml") as first:
        environment.build()
    (tmp_path / "outside.yaml").write_text("")  # another try would get further, and fail otherwise
    with pytest.raises(InvalidTestError) as second:
        environment.build()
    assert second.value is first.value
    assert not environment.built


@pytest.mark.parametrize("attribute", ["cluster_ips", "cluster_i_ps"])
def test_server_of_a_dual_stack_cluster_has_addresses_in_both_families(attribute: str) -> None:
    service: Any = SimpleNamespace(
        spec=SimpleNamespace(cluster_ip="10.96.0.7", **{attribute: ["10.96.0.7", "fd00:10:96::7"]})
    )
    pod = Pod("n", "outside", "u", "10.244.0.9", injected=False, container="nginx", second_address="fd00:10:244::9")
    assert server_addresses(80, service, pod) == {
        "192.0.2.80": "10.96.0.7",
        "192.0.2.180": "10.244.0.9",
        "2001:db8::80": "fd00:10:96::7",
        "2001:db8::180": "fd00:10:244::9",
    }
    assert pod.addresses == {"10.244.0.9", "fd00:10:244::9"}


def test_server_of_one_family_has_one_address_of_each_kind() -> None:
    service: Any = SimpleNamespace(spec=SimpleNamespace(cluster_ip="fd00:10:96::7", cluster_ips=["fd00:10:96::7"]))
    pod = Pod("n", "outside", "u", "fd00:10:244::9", injected=False, container="nginx")
    assert server_addresses(80, service, pod) == {"192.0.2.80": "fd00:10:96::7", "192.0.2.180": "fd00:10:244::9"}


@pytest.mark.parametrize(
    ("why", "kinds"),
    [
        ("ValidatingAdmissionPolicy 'company' with binding 'all' denied request", ["EnvoyFilter", "Telemetry"]),
        ("no kind EnvoyFilter is known", ["EnvoyFilter"]),
    ],
    ids=["refused by a policy", "another error"],
)
def test_mesh_writes_the_log_where_a_policy_refuses_envoy_filters(
    why: str, kinds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def apply(_: Applier, documents: list[dict[str, Any]], namespace: str) -> None:
        assert namespace == "egress-client"
        for document in documents:
            tried.append(document["kind"])
            if document["kind"] == "EnvoyFilter":
                raise RefusedError(why)

    monkeypatch.setattr(Applier, "apply", apply)
    environment = Environment(cast(Api, None), Names("k3x9q", "gw0"), fixtures_folder(), 1.0, WITH_ENVOY_FILTERS)
    with suppress(RefusedError):
        environment._add_access_log("egress-client")
    assert tried == kinds
    assert bool(environment.notes) is (environment.additions is WITHOUT_ENVOY_FILTERS) is (len(kinds) > 1)


def test_gateway_of_one_test_is_not_in_use_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = Environment(cast(Api, None), Names("k3x9q", "gw0"), tmp_path, 1.0, WITH_ENVOY_FILTERS)
    environment.built = True
    monkeypatch.setattr(
        environment.pod_lookup, "ready", lambda name: Pod("n", name, "u", "10.244.0.9", injected=True, container="curl")
    )
    client = environment.pod("sleep.egress-client")
    environment.pod("gateway-api.egress-client")
    environment.forget_case_workloads()
    assert environment.pod_lookup.pods_in_use() == [client]


def document(kind: str, namespace: str, api_version: str = "gateway.networking.k8s.io/v1") -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "exit", "namespace": namespace}}


@pytest.mark.parametrize(
    ("gateway", "documents", "expected"),
    [
        ("exit.egress-client", [], False),
        ("exit.egress-client", [document("HTTPRoute", "egress-client-k3x9q-gw0")], False),
        ("exit.egress-client", [document("Gateway", "egress-neighbour-k3x9q-gw0")], False),
        ("exit.egress-client", [document("Gateway", "egress-client-k3x9q-gw0", "networking.istio.io/v1")], False),
        ("exit.egress-client", [document("Gateway", "egress-client-k3x9q-gw0")], True),
        ("exit.egress-client", [document("StatefulSet", "egress-client-k3x9q-gw0", "apps/v1")], True),
        ("exit.payments", [], True),
    ],
)
def test_gateway_gets_pods_only_where_something_creates_them(
    gateway: str, documents: list[dict[str, Any]], expected: bool  # noqa: FBT001  # what is expected
) -> None:  # fmt: skip
    environment = Environment(cast(Api, None), Names("k3x9q", "gw0"), fixtures_folder(), 1.0, WITH_ENVOY_FILTERS)
    assert environment.may_have_pods(gateway, documents) is expected


def test_gateway_of_the_test_itself_may_have_pods() -> None:
    environment = Environment(cast(Api, None), Names("k3x9q", "gw0"), fixtures_folder(), 1.0, WITH_ENVOY_FILTERS)
    labels = {"matchLabels": {"app": "exit"}}
    environment.register_workloads([{"kind": "Deployment", "metadata": {}, "spec": {"selector": labels}}])
    assert environment.may_have_pods("exit.egress-client", [])
