"""A request's path through the recorded configuration of a sidecar, and Envoy's rules of matching."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_istio_egress.verdict.proxy_path import Endpoint, Origin, ProxyDump, RequestAtProxy, path_of
from pytest_istio_egress.verdict.proxy_path.dump import read_dump
from pytest_istio_egress.verdict.proxy_path.listeners import chain_of, listener_of
from pytest_istio_egress.verdict.proxy_path.routes import route_of, virtual_host_of
from pytest_istio_egress.verdict.proxy_path.upstream import originated_tls

RECORDED = Path(__file__).with_name("proxies") / "sidecar.yaml"
EXIT = "istio-egressgateway.istio-system.svc.cluster.local"
STATUSES = {
    "cluster_statuses": [
        {
            "name": f"outbound|80|partner|{EXIT}",
            "host_statuses": [
                {"address": {"socket_address": {"address": "10.244.0.4", "port_value": 8080}}, "health_status": {}},
                {
                    "address": {"socket_address": {"address": "10.244.0.5", "port_value": 8080}},
                    "health_status": {"failed_outlier_check": True, "eds_health_status": "HEALTHY"},
                },
            ],
        }
    ]
}


@pytest.fixture(scope="module")
def dump() -> ProxyDump:
    return read_dump(yaml.safe_load(RECORDED.read_text()), STATUSES)


def http(authority: str, port: int = 80) -> RequestAtProxy:
    return RequestAtProxy(address="192.0.2.80", port=port, authority=authority)


def test_http_request_takes_the_route_of_its_virtual_service(dump: ProxyDump) -> None:
    path = path_of(dump, http("partner.test"))
    assert path.listener_name == "0.0.0.0_80"
    assert path.http
    assert path.route_config == "80"
    assert path.rule == Origin("VirtualService", "by-gateway", "payments")
    assert path.cluster_name == f"outbound|80|partner|{EXIT}"
    assert str(path.destination_rule) == "DestinationRule exit-for-partner in payments"
    assert path.services[0].namespace == "istio-system"
    assert path.endpoints == (Endpoint("10.244.0.4:8080"), Endpoint("10.244.0.5:8080", "failed_outlier_check"))
    stages = [step.stage for step in path.steps()]
    assert stages == [
        "listener",
        "filter chain",
        "route configuration",
        "virtual host",
        "route",
        "cluster",
        "endpoints",
    ]


def test_unknown_host_takes_the_route_that_blocks_it(dump: ProxyDump) -> None:
    path = path_of(dump, http("unlisted.test"))
    assert path.route is not None
    assert path.route["name"] == "block_all"
    assert (path.response, path.clusters, path.rule) == (502, (), None)


def test_unknown_port_takes_the_catch_all_listener(dump: ProxyDump) -> None:
    path = path_of(dump, http("unlisted.test", 8081))
    assert path.listener_name == "virtualOutbound"
    assert path.cluster_name == "BlackHoleCluster"


def test_bytes_that_are_not_http_do_not_take_the_http_chain(dump: ProxyDump) -> None:
    path = path_of(dump, RequestAtProxy(address="192.0.2.80", port=80, http=False))
    assert path.sniffed
    assert not path.http


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("api.test", "exact"),
        ("a.api.test", "longest"),
        ("b.test", "shorter"),
        ("a.test:80", "prefix"),
        ("other", "any"),
    ],
)
def test_virtual_host_is_the_most_specific_one(authority: str, name: str) -> None:
    domains = {"any": "*", "shorter": "*.test", "longest": "*.api.test", "prefix": "a.test:*", "exact": "api.test"}
    hosts = [{"name": each, "domains": [domain]} for each, domain in domains.items()]
    found = virtual_host_of({"virtual_hosts": hosts}, authority)
    assert found is not None
    assert found["name"] == name


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({"prefix": "/v1"}, True),
        ({"path": "/v1"}, False),
        ({"path_separated_prefix": "/v1"}, True),
        ({"path_separated_prefix": "/v"}, False),
        ({"safe_regex": {"regex": "/v[0-9]/.*"}}, True),
        ({"prefix": "/V1", "case_sensitive": False}, True),
        ({"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}, True),
        ({"prefix": "/", "headers": [{"name": "x-team", "string_match": {"prefix": "pay"}}]}, True),
        ({"prefix": "/", "headers": [{"name": "x-team", "present_match": True, "invert_match": True}]}, False),
        ({"prefix": "/", "headers": [{"name": "x-other", "present_match": True}]}, False),
        ({"prefix": "/", "query_parameters": [{"name": "a", "string_match": {"exact": "b"}}]}, True),
        ({"prefix": "/", "query_parameters": [{"name": "c", "string_match": {"exact": "b"}}]}, False),
        ({"safe_regex": {"regex": "("}}, False),
    ],
)
def test_route_matches_as_in_envoy(*, match: dict[str, Any], matches: bool) -> None:
    host = {"routes": [{"match": match}]}
    found = route_of(host, method="GET", path="/v1/orders?a=b", authority="api.test", headers={"x-team": "payments"})
    assert (found is not None) is matches


CHAINS = [
    {"name": "tls-any", "filter_chain_match": {"transport_protocol": "tls"}},
    {"name": "named", "filter_chain_match": {"server_names": ["api.test"]}},
    {"name": "wild", "filter_chain_match": {"server_names": ["*.test"]}},
    {"name": "range", "filter_chain_match": {"prefix_ranges": [{"address_prefix": "192.0.2.0", "prefix_len": 24}]}},
    {"name": "http", "filter_chain_match": {"application_protocols": ["http/1.1", "h2c"]}},
]


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ({"server_name": "api.test", "tls": True, "http": False}, "named"),
        ({"server_name": "b.test", "tls": True, "http": False}, "wild"),
        ({"server_name": "b.example", "tls": True, "http": False}, "tls-any"),
        ({"server_name": "", "tls": False, "http": True}, "http"),
        ({"server_name": "", "tls": False, "http": False}, "default"),
        ({"server_name": "", "tls": False, "http": False, "address": "192.0.2.9"}, "range"),
    ],
)
def test_filter_chain_is_the_most_specific_one(request_: dict[str, Any], name: str) -> None:
    listener = {"filter_chains": CHAINS, "default_filter_chain": {"name": "default"}}
    found = chain_of(listener, **{"address": "198.51.100.1", "port": 443, **request_})
    assert found is not None
    assert found["name"] == name


def test_listener_of_the_address_wins_over_that_of_all_addresses() -> None:
    names = ("0.0.0.0_80", "192.0.2.80_80", "virtualOutbound")
    dump = ProxyDump(listeners=[{"name": name} for name in names])
    assert listener_of(dump, "192.0.2.80", 80) == {"name": "192.0.2.80_80"}
    assert listener_of(dump, "192.0.2.81", 80) == {"name": "0.0.0.0_80"}
    assert listener_of(dump, "192.0.2.81", 81) == {"name": "virtualOutbound"}


def test_originated_tls_has_its_server_name_and_secrets(dump: ProxyDump) -> None:
    context = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": "partner.test",
        "common_tls_context": {
            "tls_certificate_sds_secret_configs": [{"name": "kubernetes://client"}],
            "combined_validation_context": {
                "default_validation_context": {"match_subject_alt_names": [{"exact": "partner.test"}]},
                "validation_context_sds_secret_config": {"name": "kubernetes://client-cacert"},
            },
        },
    }
    tls = originated_tls({"transport_socket": {"typed_config": context}})
    assert tls is not None
    assert (tls.sni, tls.verified_names, tls.client_certificate) == ("partner.test", ("partner.test",), True)
    assert tls.secrets == ("kubernetes://client", "kubernetes://client-cacert")
    assert originated_tls(dump.clusters["outbound|80||partner.test"]) is None


@pytest.mark.parametrize("wrapper", ["InternalUpstreamTransport", "ProxyProtocolUpstreamTransport"])
def test_originated_tls_is_found_inside_of_another_transport_socket(wrapper: str) -> None:
    tls = {"typed_config": {"@type": "x.UpstreamTlsContext", "sni": "partner.test"}}
    found = originated_tls({"transport_socket": {"typed_config": {"@type": f"x.{wrapper}", "transport_socket": tls}}})
    assert found is not None
    assert found.sni == "partner.test"
