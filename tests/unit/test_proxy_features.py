"""Features that a proxy's configuration shows: the smallest parts of a config dump with and without each."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_cluster import CASE

from pytest_istio_egress.cluster.envoy_filter_markers import EnvoyFilterMarkers
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.proxy_features import PROXY_DETECTORS, missing_in_proxy
from pytest_istio_egress.suite.discovery import shipped_cases

CONFORMANCE = Path(__file__).parents[2] / "conformance"
MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def listener(direction: str = "OUTBOUND", **settings: Any) -> dict[str, Any]:
    chain = {"filters": [{"typed_config": {"@type": MANAGER, **settings}}]}
    return {"name": "0.0.0.0_80", "traffic_direction": direction, "filter_chains": [chain]}


def proxy(monkeypatch: pytest.MonkeyPatch, *listeners: dict[str, Any]) -> ProxyConfig:
    config = ProxyConfig(api=None, pod=None)  # type: ignore[arg-type]  # neither is used: the dump is given
    dump = {"configs": [{"active_state": {"listener": each}} for each in listeners]}
    monkeypatch.setattr(config, "text", {"/config_dump?resource=dynamic_listeners": json.dumps(dump)}.__getitem__)
    return config


def stats(**settings: Any) -> dict[str, Any]:
    return {"http_filters": [{"name": "istio.stats", "typed_config": settings}, {"name": "envoy.filters.http.router"}]}


def reason(monkeypatch: pytest.MonkeyPatch, feature: str, *listeners: dict[str, Any]) -> str:
    config = proxy(monkeypatch, *listeners)
    return missing_in_proxy(replace(CASE, requires=(feature,)), lambda: config).get(feature, "")


@pytest.mark.parametrize(
    ("feature", "settings", "expected"),
    [
        ("tracing", {"tracing": {}}, ""),
        ("tracing", {"tracing": {"provider": {"name": "envoy.tracers.zipkin"}}}, ""),
        ("tracing", {}, "do not trace requests (meshConfig.enableTracing"),
        ("http-1.0-as-tcp", {}, ""),
        ("http-1.0-as-tcp", {"http_protocol_options": {"accept_http_10": False}}, ""),
        ("http-1.0-as-tcp", {"http_protocol_options": {"accept_http_10": True}}, "accept HTTP/1.0 as HTTP"),
        ("istio-metrics", stats(), ""),
        ("istio-metrics", stats(metrics=[{"name": "request_bytes", "drop": True}]), ""),
        ("istio-metrics", stats(metrics=[{"name": "requests_total", "dimensions": {"mine": "x"}}]), ""),
        ("istio-metrics", {"http_filters": [{"name": "envoy.filters.http.router"}]}, "no filter istio.stats"),
        ("istio-metrics", stats(metrics=[{"name": "requests_total", "drop": True}]), "requests_total off"),
        (
            "istio-metrics",
            stats(metrics=[{"tags_to_remove": ["reporter", "source_app"]}]),
            "label reporter of all metrics",
        ),
        (
            "istio-metrics",
            stats(metrics=[{"name": "tcp_connections_closed_total", "dimensions": {"destination_service_name": "x"}}]),
            "label destination_service_name of tcp_connections_closed_total",
        ),
    ],
)
def test_proxy_lacks_feature_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, feature: str, settings: dict[str, Any], expected: str
) -> None:
    seen = reason(monkeypatch, feature, listener(**settings))
    assert expected in seen
    assert bool(seen) is bool(expected)


@pytest.mark.parametrize("feature", PROXY_DETECTORS)
def test_only_listeners_for_outbound_requests_count(monkeypatch: pytest.MonkeyPatch, feature: str) -> None:
    # The marker's listener and the inbound ones say nothing about outbound requests.
    added = EnvoyFilterMarkers().of_clients(1).resource["spec"]["configPatches"][0]["patch"]["value"]
    inbound = listener("INBOUND", http_protocol_options={"accept_http_10": True})
    assert not reason(monkeypatch, feature, added, inbound)


@pytest.mark.parametrize(
    ("logs", "expected"), [([{"name": "file"}], ""), ([], "no connections to the proxy's own ports")]
)
def test_log_of_proxy_ports_is_that_of_their_filter_chain(
    monkeypatch: pytest.MonkeyPatch, logs: list[dict[str, str]], expected: str
) -> None:
    chains = [
        {"filter_chain_match": {"destination_port": 15001}, "filters": [{"typed_config": {"access_log": logs}}]},
        {"filters": [{"typed_config": {"access_log": []}}]},
    ]
    virtual = {"name": "virtualOutbound", "traffic_direction": "OUTBOUND", "filter_chains": chains}
    seen = reason(monkeypatch, "proxy-port-log", virtual)
    assert expected in seen
    assert bool(seen) is bool(expected)


def test_proxy_is_not_read_for_a_test_that_needs_none_of_it() -> None:
    def config() -> ProxyConfig:
        raise AssertionError

    assert missing_in_proxy(replace(CASE, requires=("egress-gateway",)), config) == {}


@pytest.mark.parametrize(
    ("settings", "provider"),
    [({}, None), ({"tracing": {}}, None), ({"tracing": {"provider": {"name": "envoy.tracers.zipkin"}}}, "zipkin")],
    ids=str,
)
def test_tracing_provider_is_envoys_name_of_it(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], provider: str | None
) -> None:
    seen = proxy(monkeypatch, listener(**settings)).tracing_provider()
    assert seen == (provider and f"envoy.tracers.{provider}")


@pytest.mark.parametrize(
    ("text", "feature"),
    [("x-envoy-decorator-operation", "tracing"), ("--http1.0", "http-1.0-as-tcp"), ("istio_requests", "istio-metrics")],
)
def test_test_that_depends_on_a_setting_of_the_proxy_requires_the_feature(text: str, feature: str) -> None:
    """A module that asserts something that only some proxies do has a test that requires the feature."""
    modules = {shipped.file: set[str]() for shipped in shipped_cases(CONFORMANCE)}
    for shipped in shipped_cases(CONFORMANCE):
        modules[shipped.file] |= set(shipped.case.requires if shipped.case else ())
    asserting = [
        file for file in modules if f'"{text}' in file.read_text() and f'"{text}": None' not in file.read_text()
    ]
    assert asserting
    assert [file.name for file in asserting if feature not in modules[file]] == []
