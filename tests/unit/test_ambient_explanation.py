"""What `istio-egress explain` shows of the way through ztunnel and a waypoint, and what it finds odd."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from failures import CLIENT, configuration, entry, virtual_service

from pytest_istio_egress.verdict.analysis.configuration import Configuration
from pytest_istio_egress.verdict.explanation import (
    ZtunnelHop,
    odd_at_waypoint,
    odd_at_ztunnel,
    service_for,
    services_in,
)
from pytest_istio_egress.verdict.proxy_path import ProxyDump, RequestAtProxy, waypoint_path_of

UID = "Kubernetes/networking.istio.io/ServiceEntry/client/partner/192.0.2.80"
DUMP: dict[str, Any] = {
    "services": [
        {
            "hostname": "partner.test",
            "namespace": "client",
            "vips": ["/240.0.0.81"],
            "ports": {"80": 8080},
            "endpoints": {UID: {"workloadUid": UID, "port": {"80": 8080}, "status": "Healthy"}},
            "waypoint": {"destination": "client/waypoint.client.svc.cluster.local", "hboneMtlsPort": 15008},
        },
        {"hostname": "*.wild.test", "namespace": "others", "vips": [], "ports": {"80": 80}},
        {"hostname": "partner.test", "namespace": "others", "vips": ["/240.0.0.99"], "ports": {"443": 443}},
    ],
    "workloads": [{"uid": UID, "workloadIps": ["192.0.2.80"]}],
}
LABELLED = entry()
LABELLED["metadata"]["labels"] = {"istio.io/use-waypoint": "waypoint"}
KNOWN = configuration(entries=[LABELLED])
CHAIN = "inbound-vip|80|http|partner.test"


def hop(host: str = "partner.test", port: int = 80, *, waypoint: bool = True, **changed: Any) -> ZtunnelHop:
    service = service_for(services_in(DUMP), names=[host], address=host, namespace="client")
    if service and not waypoint:
        service = replace(service, waypoint=None)
    known: dict[str, Any] = {
        "name": "ztunnel z -n istio-system",
        "address": "240.0.0.81",
        "port": port,
        "service": service,
    } | changed
    return ZtunnelHop(**known)


def odd(at: ZtunnelHop, known: Configuration = KNOWN) -> list[str]:
    return list(odd_at_ztunnel(at, known, replace(CLIENT, host="partner.test", port=at.port)))


def lines(at: ZtunnelHop) -> str:
    return "\n".join(" ".join(text.split()) for text in at.lines())


def test_service_with_its_waypoint_and_the_label_that_chooses_it() -> None:
    text = lines(hop(entry=LABELLED, waypoint_label="the label istio.io/use-waypoint of ServiceEntry partner"))
    assert "service partner.test (namespace client) <- ServiceEntry" in text
    assert "addresses 240.0.0.81" in text
    assert "waypoint waypoint.client.svc.cluster.local:15008, through a tunnel (HBONE) <- the label" in text
    assert "endpoints" not in text


def test_service_without_waypoint_ends_at_its_endpoints() -> None:
    at = hop(waypoint=False)
    assert "endpoints 192.0.2.80:8080" in lines(at)
    assert at.end == "192.0.2.80:8080"


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("partner.test", "client"),
        ("240.0.0.99", "others"),
        ("api.wild.test", "others"),
        ("wild.test", None),
        ("192.0.2.80", None),
    ],
)
def test_service_is_found_by_name_or_address_first_in_the_own_namespace(host: str, found: str | None) -> None:
    service = hop(host).service
    assert (service.namespace if service else None) == found


def test_unhealthy_endpoint_is_shown() -> None:
    changed = {
        **DUMP["services"][0],
        "endpoints": {UID: {"workloadUid": UID, "port": {"80": 80}, "status": "Unhealthy"}},
    }
    (service,) = services_in({"services": [changed], "workloads": DUMP["workloads"]})
    assert hop(service=replace(service, waypoint=None)).end == "192.0.2.80:80 (not used: Unhealthy)"


def test_way_without_anything_odd() -> None:
    assert odd(hop(entry=LABELLED)) == []


def test_host_that_no_entry_lists_is_forwarded_whatever_the_policy_is() -> None:
    at = hop("elsewhere.test")
    assert at.end == "the address that the client connects to: ztunnel forwards it, by no rule"
    assert odd(at, configuration(entries=[])) == [
        "no ServiceEntry lists partner.test",
        "no outbound traffic policy blocks a client in ambient mode: REGISTRY_ONLY limits sidecars and gateways",
    ]


def test_port_that_the_service_lacks() -> None:
    at = hop(port=81, waypoint=False)
    assert at.end == "ztunnel does not know port 81 of partner.test"
    assert odd(at) == ["partner.test is defined for port 80, not for 81"]


def test_service_without_address() -> None:
    assert any("has no address in the mesh" in text for text in odd(hop("api.wild.test")))


def test_label_whose_waypoint_is_not_bound_and_the_rules_that_have_no_effect() -> None:
    known = configuration(entries=[LABELLED], rules=[virtual_service()])
    found = odd(hop(entry=LABELLED, waypoint=False), known)
    assert any("is not bound to waypoint waypoint in client, which the label istio.io/use-waypoint" in t for t in found)
    assert any(t.startswith("VirtualService") and t.endswith("has no waypoint") for t in found)


def waypoint_dump() -> ProxyDump:
    def typed(name: str) -> dict[str, Any]:
        return {"typed_config": {"@type": f"type.googleapis.com/envoy.extensions.matching.{name}"}}

    ports = {
        "input": typed("DestinationPortInput"),
        "exact_match_map": {"map": {"80": {"action": {"name": CHAIN, "typed_config": {"value": CHAIN}}}}},
    }
    ranges = [
        {
            "ranges": [{"address_prefix": "240.0.0.81", "prefix_len": 32}],
            "on_match": {"matcher": {"matcher_tree": ports}},
        }
    ]
    addresses = {"input": typed("DestinationIPInput"), "custom_match": {"typed_config": {"range_matchers": ranges}}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": CHAIN}}
    manager = {
        "@type": "type.googleapis.com/HttpConnectionManager",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    listener = {
        "name": "main_internal",
        "filter_chain_matcher": {"matcher_tree": addresses},
        "filter_chains": [{"name": CHAIN, "filters": [{"name": "http", "typed_config": manager}]}],
    }
    return ProxyDump(listeners=[listener], clusters={CHAIN: {"name": CHAIN, "type": "EDS"}})


@pytest.mark.parametrize(
    ("address", "port", "cluster"), [("240.0.0.81", 80, CHAIN), ("240.0.0.81", 81, ""), ("", 80, "")]
)
def test_waypoint_chooses_the_chain_by_address_and_port(address: str, port: int, cluster: str) -> None:
    path = waypoint_path_of(waypoint_dump(), RequestAtProxy(address=address, port=port, authority="partner.test"))
    assert path.cluster_name == cluster
    found = list(odd_at_waypoint(path, hop(port=port, entry=LABELLED), KNOWN, replace(CLIENT, host="partner.test")))
    assert any("no filter chain" in text for text in found) is (not cluster)
    assert any("has no endpoints" in text for text in found) is bool(cluster)


def test_policy_of_the_entry_is_named_at_the_waypoint() -> None:
    policy = {
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "only-get", "namespace": "client"},
        "spec": {"action": "DENY", "targetRefs": [{"kind": "ServiceEntry", "name": LABELLED["metadata"]["name"]}]},
    }
    path = waypoint_path_of(waypoint_dump(), RequestAtProxy(address="240.0.0.81", port=80, authority="partner.test"))
    known = configuration(entries=[LABELLED], policies=[policy])
    found = list(odd_at_waypoint(path, hop(entry=LABELLED), known, replace(CLIENT, host="partner.test")))
    assert "AuthorizationPolicy only-get in client (DENY) applies at the waypoint" in found
