"""The configuration of a proxy: clusters of filter chains, awaited secrets, access logs, counters."""

import json
from typing import Any

import pytest

from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.model.access_log import parse_line


def tcp_proxy(**settings: Any) -> dict[str, Any]:
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": settings}


DUMP = {
    "configs": [
        {
            "name": "0.0.0.0_443",
            "active_state": {
                "listener": {
                    "name": "0.0.0.0_443",
                    "filter_chains": [
                        {
                            "filter_chain_match": {"server_names": ["one.test"]},
                            "filters": [tcp_proxy(cluster="outbound|443||one.test")],
                        },
                        {
                            "filter_chain_match": {"server_names": ["shared-out.test"]},
                            "filters": [
                                tcp_proxy(
                                    weighted_clusters={
                                        "clusters": [{"name": "first", "weight": 30}, {"name": "second", "weight": 70}]
                                    }
                                )
                            ],
                        },
                    ],
                }
            },
        },
        {"name": "warming", "warming_state": {}},
    ]
}


def test_filter_chain_has_one_cluster_or_several_with_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ProxyConfig(api=None, pod=None)  # type: ignore[arg-type]  # neither is used: the dump is given
    monkeypatch.setattr(config, "text", {"/config_dump?resource=dynamic_listeners": json.dumps(DUMP)}.__getitem__)
    listener = config.listener("0.0.0.0_443")
    assert listener
    one, shared_out = listener.chains
    assert (one.server_names, one.cluster, one.weights) == (("one.test",), "outbound|443||one.test", {})
    assert (shared_out.cluster, shared_out.weights) == (None, {"first": 30, "second": 70})
    assert config.listener("warming") is None


def test_awaited_secrets_and_warming_clusters_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ProxyConfig(api=None, pod=None)  # type: ignore[arg-type]  # neither is used: the dump is given
    dumps = {
        "/config_dump?resource=dynamic_warming_secrets": {"configs": [{"name": "kubernetes://b"}, {"name": "a"}]},
        "/config_dump?resource=dynamic_warming_clusters": {"configs": [{"cluster": {"name": "outbound|80||a.test"}}]},
    }
    monkeypatch.setattr(config, "text", lambda path: json.dumps(dumps[path]))
    assert config.awaited_secrets() == ["a", "kubernetes://b"]
    assert config.warming_clusters() == ["outbound|80||a.test"]


def test_log_of_outbound_requests_is_judged_without_the_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = [{"filters": [tcp_proxy(**{"@type": "x.TcpProxy"})]}]

    def problem(name: str, direction: str) -> str | None:
        listener = {"name": name, "traffic_direction": direction, "filter_chains": silent}
        dump = {"configs": [{"active_state": {"listener": listener}}, {"name": "warming"}]}
        config = ProxyConfig(api=None, pod=None)  # type: ignore[arg-type]  # neither is used: the dump is given
        monkeypatch.setattr(config, "text", {"/config_dump?resource=dynamic_listeners": json.dumps(dump)}.__getitem__)
        return config.log_problem(parse_line)

    assert problem("0.0.0.0_80", "OUTBOUND") == "there is none"
    assert problem("virtualInbound", "INBOUND") is None
    assert problem("istio-egress-marker-3", "OUTBOUND") is None


METRICS = """\
# TYPE istio_requests_total counter
istio_requests_total{reporter="source",response_code="502",destination_service_name="BlackHoleCluster"} 3
istio_requests_total{reporter="source",response_code="502",destination_service_name="BlackHoleCluster",x="a,b"} 4
istio_requests_total{reporter="source",response_code="200",destination_service_name="BlackHoleCluster"} 10
istio_requests_total_of_others{reporter="source",response_code="502"} 100
istio_build{} 1000
"""


@pytest.mark.parametrize(
    ("labels", "counted"), [({"response_code": "502"}, 7), ({"reporter": "source"}, 17), ({"response_code": "50"}, 0)]
)
def test_metric_is_the_sum_of_the_series_with_the_labels(
    monkeypatch: pytest.MonkeyPatch, labels: dict[str, str], counted: int
) -> None:
    config = ProxyConfig(api=None, pod=None)  # type: ignore[arg-type]  # neither is used: the metrics are given
    monkeypatch.setattr(config, "text", {"/stats/prometheus": METRICS}.__getitem__)
    assert config.metric("istio_requests_total", labels) == counted


CLUSTERS = """\
outbound|80||one.test::observability_name::outbound|80||one.test
outbound|80||one.test::10.0.0.1:80::cx_total::100
outbound|80||one.test::10.0.0.1:80::cx_connect_fail::2
outbound|80||one.test::10.0.0.1:80::rq_total::3
outbound|80||one.test::10.0.0.2:80::rq_total::2
outbound|80||one.test::[fd00:0:1::2]:80::rq_total::2
outbound|80||one.test::10.0.0.2:80::rq_success::1000
outbound|80|v2|one.test::10.0.0.2:80::rq_total::10000
"""


def test_requests_are_counted_over_all_endpoints_without_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ProxyConfig(api=None, pod=None)  # type: ignore[arg-type]  # neither is used: the counters are given
    monkeypatch.setattr(config, "text", {"/clusters": CLUSTERS}.__getitem__)
    assert config.requests("outbound|80||one.test") == 7


def test_failed_connections_are_counted_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ProxyConfig(api=None, pod=None)  # type: ignore[arg-type]  # neither is used: the counters are given
    monkeypatch.setattr(config, "text", {"/clusters": CLUSTERS}.__getitem__)
    assert config.failed_connections("outbound|80||one.test") == 2


ENDPOINTS = """\
outbound|80||one.test::192.0.2.80:80::cx_active::1
outbound|80||one.test::192.0.2.80:80::rq_active::2
outbound|80||one.test::192.0.2.80:80::health_flags::/failed_outlier_check
outbound|80||one.test::[2001:db8::80]:80::rq_active::1
outbound|80||one.test::[2001:db8::80]:80::health_flags::healthy
outbound|80||one.test.other::192.0.2.80:80::rq_active::4
outbound|80||one.test.other::192.0.2.80:80::health_flags::/failed_outlier_check
"""


def config_with(texts: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> ProxyConfig:
    config = ProxyConfig(api=None, pod=None)  # type: ignore[arg-type]  # neither is used: the texts are given
    monkeypatch.setattr(config, "text", texts.__getitem__)
    return config


def test_state_of_endpoints_is_that_of_one_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_with({"/clusters": ENDPOINTS}, monkeypatch)
    name = "outbound|80||one.test"
    assert (config.active_connections(name), config.active_requests(name), config.ejected(name)) == (1, 3, 1)


@pytest.mark.parametrize(
    ("counters", "waiting"),
    [
        ("", None),
        (
            "cluster.outbound|80||one.test;.upstream_rq_pending_active: 1\ncluster.x.upstream_rq_pending_active: 0\n",
            1,
        ),
    ],
)
def test_waiting_requests_are_those_of_all_clusters(
    counters: str, waiting: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/stats?filter=upstream_rq_pending_active"
    assert config_with({path: counters}, monkeypatch).waiting_requests() == waiting
