"""Checks of shipped cases against the configuration of meshes that are right, and have more than the embedded cluster.

And against configurations that are wrong: a check that cannot fail would pass in any mesh.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_istio_egress import CLIENT
from pytest_istio_egress.cluster.config_dump import Cluster
from pytest_istio_egress.suite.discovery import shipped_cases

CONFORMANCE = Path(__file__).parents[2] / "conformance"
AGENT = ("agent", "prometheus_stats", "sds-grpc", "xds-grpc")
THERE = "outbound|80||helloworld.egress-neighbour.svc.cluster.local"
WIKIPEDIA = "outbound|443||my-wikipedia.egress-client.svc.cluster.local"


def clusters(**types: str) -> list[Cluster]:
    return [Cluster(name, kind, "ROUND_ROBIN", {}) for name, kind in types.items()]


OF_SERVICES = {THERE: "EDS", "inbound|8080||": "ORIGINAL_DST"}
BUILT_IN = {
    "BlackHoleCluster": "STATIC",
    "InboundPassthroughCluster": "ORIGINAL_DST",
    "PassthroughCluster": "ORIGINAL_DST",
}


class Config:
    """The configuration of a proxy with these clusters."""

    def __init__(self, dynamic: list[Cluster], static: list[Cluster]) -> None:
        self._dynamic = dynamic
        self._static = static

    def clusters(self) -> list[Cluster]:
        return sorted(self._dynamic, key=lambda cluster: cluster.name)

    def own_clusters(self) -> list[Cluster]:
        return self._static

    def cluster(self, name: str) -> Cluster | None:
        return next((cluster for cluster in self._dynamic if cluster.name == name), None)


class FakeEgress:
    """Accepts every probe; a check that differs raises AssertionError."""

    def __init__(self, *configs: Config) -> None:
        self._configs = list(configs)
        self.telemetry_services: tuple[str, ...] = ()

    def config(self, _: str = CLIENT) -> Config:
        return self._configs[0] if len(self._configs) == 1 else self._configs.pop(0)

    def in_cluster(self, text: str) -> str:
        return text

    def resource(self, *_: str) -> dict[str, Any]:
        return {"spec": {"clusterIP": "10.96.0.1"}}

    def check(self, what: str, seen: object, expected: object) -> None:
        assert seen == expected, what

    def expect(self, *_: object) -> None: ...

    def apply(self, _: str) -> None: ...

    def remove(self, _: str) -> None: ...


def case(test: str) -> Any:
    (found,) = [shipped.function for shipped in shipped_cases(CONFORMANCE) if shipped.id == f"conformance/{test}"]
    return found


CLUSTER_LIST = case("sidecar_scope/test_ports_and_namespaces.py::test_cluster_list_complete")
TLS_DISABLE = case("kubernetes_services/test_endpoints.py::test_client_tls_with_mode_disable_unchanged")
CONNECT_TIMEOUT = case("service_entry/test_resolution_none.py::test_resolution_none_becomes_original_dst")


def listed(dynamic: dict[str, str], static: dict[str, str]) -> FakeEgress:
    return FakeEgress(Config(clusters(**dynamic), clusters(**static)))


@pytest.mark.parametrize(
    ("dynamic", "static"),
    [
        ({}, {}),
        ({"connect_originate": "EDS"}, {}),
        ({"ratelimit": "STRICT_DNS"}, {"zipkin": "STRICT_DNS", "envoy_accesslog_service": "STRICT_DNS"}),
        ({}, {"sds-external": "STATIC", "local_cluster": "EDS"}),
    ],
    ids=["default", "ambient", "envoy-filter-and-tracing", "agent-of-another-release"],
)
def test_cluster_list_tolerates_clusters_that_are_no_service(dynamic: dict[str, str], static: dict[str, str]) -> None:
    agent = dict.fromkeys(AGENT, "STATIC")
    CLUSTER_LIST(listed({**OF_SERVICES, **BUILT_IN, **dynamic}, {**agent, **static}), CLIENT, [THERE])


@pytest.mark.parametrize(
    "dynamic",
    [
        {**OF_SERVICES, **BUILT_IN, "outbound|80||hidden.default.svc.cluster.local": "EDS"},
        {THERE: "STRICT_DNS", "inbound|8080||": "ORIGINAL_DST", **BUILT_IN},
        {"inbound|8080||": "ORIGINAL_DST", **BUILT_IN},
        {**OF_SERVICES, **BUILT_IN, "BlackHoleCluster": "EDS"},
    ],
    ids=["out-of-scope", "other-type", "missing", "other-built-in"],
)
def test_cluster_list_notices_a_wrong_scope(dynamic: dict[str, str]) -> None:
    with pytest.raises(AssertionError):
        CLUSTER_LIST(listed(dynamic, dict.fromkeys(AGENT, "STATIC")), CLIENT, [THERE])


def with_transports(*names: str) -> FakeEgress:
    raw = {"transport_socket_matches": [{"name": name} for name in names]} if names else {}
    return FakeEgress(Config([Cluster(WIKIPEDIA, "EDS", "ROUND_ROBIN", raw)], []))


@pytest.mark.parametrize("names", [(), ("hbone", "tlsMode-disabled")], ids=["default", "ambient"])
def test_mode_disable_may_leave_transports_without_mutual_tls(names: tuple[str, ...]) -> None:
    TLS_DISABLE(with_transports(*names))


def test_mode_disable_that_leaves_mutual_tls_is_noticed() -> None:
    with pytest.raises(AssertionError):
        TLS_DISABLE(with_transports("tlsMode-istio", "tlsMode-disabled"))


@pytest.mark.parametrize(
    ("of_entry", "of_mesh", "passes"), [("10s", "10s", True), ("3s", "3s", True), ("1s", "10s", False)]
)
def test_connect_timeout_is_the_meshs(of_entry: str, of_mesh: str, passes: bool) -> None:  # noqa: FBT001  # pytest gives it
    config = Config(
        [
            Cluster("outbound|80||none.test", "ORIGINAL_DST", "CLUSTER_PROVIDED", {"connect_timeout": of_entry}),
            Cluster("PassthroughCluster", "ORIGINAL_DST", "CLUSTER_PROVIDED", {"connect_timeout": of_mesh}),
        ],
        [],
    )
    if passes:
        CONNECT_TIMEOUT(FakeEgress(config))
    else:
        with pytest.raises(AssertionError):
            CONNECT_TIMEOUT(FakeEgress(config))
