"""What a set of policies allows, worked out without a node."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_istio_egress.embedded.network_policy.judgement import Allowed, Ports, directions, judge, pods_of
from pytest_istio_egress.embedded.network_policy.ruleset import ruleset
from pytest_istio_egress.embedded.network_policy.selectors import selects

NAMESPACES = {"here": {"team": "a"}, "there": {"team": "b"}}
TCP_80 = Ports("TCP", 80, 80)


def pod(namespace: str, name: str, address: str, *ports: tuple[str, int], **spec: object) -> dict[str, Any]:
    stated = [{"name": port, "containerPort": number} for port, number in ports]
    return {
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "ports": stated}], **spec},
        "status": {"podIPs": [{"ip": address}], "phase": "Running"},
    }


PODS = pods_of(
    [
        pod("here", "client", "10.0.0.2"),
        pod("here", "server", "10.0.0.3", ("web", 8080)),
        pod("there", "server", "10.0.0.4", ("web", 9090)),
    ]
)


def of(app: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": {"app": app}}}


def judged(direction: str, spec: dict[str, Any]) -> dict[str, list[Allowed]]:
    found = judge(PODS, NAMESPACES, [{"metadata": {"namespace": "here"}, "spec": spec}])
    return found["ingress" if direction == "ingress" else "egress"]


def test_a_pod_without_policy_is_not_isolated() -> None:
    assert judge(PODS, NAMESPACES, []) == {"ingress": {}, "egress": {}}


def test_deny_all_takes_this_namespace_only() -> None:
    assert judged("ingress", {"podSelector": {}}) == {"10.0.0.2": [], "10.0.0.3": []}
    assert judged("egress", {"podSelector": {}}) == {}


def test_allow_all() -> None:
    assert judged("ingress", {**of("server"), "ingress": [{}]}) == {"10.0.0.3": [Allowed(None)]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ["ingress"]),
        ({"egress": [{}]}, ["ingress", "egress"]),
        ({"policyTypes": ["Egress"]}, ["egress"]),
        ({"policyTypes": ["Ingress"], "egress": [{}]}, ["ingress"]),
    ],
)
def test_default_directions(spec: dict[str, Any], expected: list[str]) -> None:
    assert directions(spec) == expected


@pytest.mark.parametrize(
    ("peer", "addresses"),
    [
        (of("server"), ("10.0.0.3",)),
        ({"namespaceSelector": {"matchLabels": {"team": "b"}}}, ("10.0.0.4",)),
        ({"namespaceSelector": {}, **of("server")}, ("10.0.0.3", "10.0.0.4")),
        ({"namespaceSelector": {}}, ("10.0.0.2", "10.0.0.3", "10.0.0.4")),
    ],
)
def test_peers(peer: dict[str, Any], addresses: tuple[str, ...]) -> None:
    spec = {**of("client"), "policyTypes": ["Egress"], "egress": [{"to": [peer], "ports": [{"port": 80}]}]}
    assert judged("egress", spec) == {"10.0.0.2": [Allowed(addresses, (), (TCP_80,))]}


def test_peers_that_match_nobody_open_nothing() -> None:
    spec = {**of("client"), "policyTypes": ["Egress"], "egress": [{"to": [of("nobody")]}]}
    assert judged("egress", spec) == {"10.0.0.2": []}


def test_blocks_with_holes_and_ranges_of_ports() -> None:
    block = {"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.128/25"]}}
    ports = [{"port": 8000, "endPort": 8100}, {"port": 53, "protocol": "UDP"}, {"protocol": "SCTP"}]
    spec = {**of("client"), "policyTypes": ["Egress"], "egress": [{"to": [block], "ports": ports}]}
    (way,) = judged("egress", spec)["10.0.0.2"]
    assert way.networks == ("192.0.2.0/24",)
    assert way.without == ("192.0.2.128/25",)
    assert set(way.ports or ()) == {Ports("TCP", 8000, 8100), Ports("UDP", 53, 53), Ports("SCTP")}


def test_a_named_port_is_the_receivers_own() -> None:
    named = [{"port": "web"}]
    into = judged("ingress", {**of("server"), "ingress": [{"ports": named}]})
    assert into == {"10.0.0.3": [Allowed(None, (), (Ports("TCP", 8080, 8080),))]}
    out = judged("egress", {**of("client"), "policyTypes": ["Egress"], "egress": [{"ports": named}]})
    assert out["10.0.0.2"] == [
        Allowed(("10.0.0.3",), (), (Ports("TCP", 8080, 8080),)),
        Allowed(("10.0.0.4",), (), (Ports("TCP", 9090, 9090),)),
    ]


def test_policies_add_up() -> None:
    policies = [
        {"metadata": {"namespace": "here"}, "spec": {**of("server"), "ingress": [{"ports": [{"port": port}]}]}}
        for port in (80, 443)
    ]
    assert len(judge(PODS, NAMESPACES, policies)["ingress"]["10.0.0.3"]) == 2


def test_only_pods_with_an_address_of_their_own_are_seen() -> None:
    over = pod("here", "over", "10.0.0.9")
    over["status"]["phase"] = "Succeeded"
    waiting = pod("here", "waiting", "10.0.0.9")
    del waiting["status"]["podIPs"]
    assert not pods_of([over, waiting, pod("here", "host", "10.0.0.1", hostNetwork=True)])


def test_each_address_of_a_pod_has_the_rules_of_its_family() -> None:
    client = pod("here", "client", "10.0.0.2")
    client["status"]["podIPs"].append({"ip": "fd00::2"})
    server = pod("there", "server", "10.0.0.4", ("web", 8080))
    server["status"]["podIPs"].append({"ip": "fd00::4"})
    peers = [
        {"namespaceSelector": {"matchLabels": {"team": "b"}}},
        {"ipBlock": {"cidr": "fd01::/16", "except": ["fd01:1::/32"]}},
    ]
    policy = {**of("client"), "policyTypes": ["Egress"], "egress": [{"to": peers}]}
    script = ruleset(
        judge(pods_of([client, server]), NAMESPACES, [{"metadata": {"namespace": "here"}, "spec": policy}])
    )
    ipv4, ipv6 = (
        script.partition(f"chain egress_{name} {{")[2].partition("}\n  ")[0] for name in ("10_0_0_2", "fd00__2")
    )
    assert "ip daddr { 10.0.0.4/32 } return" in ipv4
    assert "ip6" not in ipv4
    assert "ip6 daddr { fd00::4/128 } return" in ipv6
    assert "ip6 daddr { fd01::/16 } ip6 daddr != { fd01:1::/32 } return" in ipv6
    assert "ip daddr" not in ipv6
    assert "map egress_ip { type ipv4_addr : verdict; elements = { 10.0.0.2 : jump egress_10_0_0_2 }; }" in script
    assert "map egress_ip6 { type ipv6_addr : verdict; elements = { fd00::2 : jump egress_fd00__2 }; }" in script


def test_neighbours_are_found_whatever_a_policy_allows() -> None:
    script = ruleset({"ingress": {}, "egress": {"fd00::2": []}})
    assert script.index("nd-neighbor-solicit") < script.index("ip6 saddr vmap @egress_ip6")


@pytest.mark.parametrize(
    ("operator", "values", "holds"),
    [
        ("In", ["a", "b"], True),
        ("In", ["b"], False),
        ("NotIn", ["b"], True),
        ("NotIn", ["a"], False),
        ("Exists", None, True),
        ("DoesNotExist", None, False),
    ],
)
def test_expressions(operator: str, values: list[str] | None, *, holds: bool) -> None:
    expression = {"key": "app", "operator": operator, "values": values}
    assert selects({"matchExpressions": [expression]}, {"app": "a"}) is holds


def test_an_absent_label_is_in_nothing() -> None:
    assert selects({"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["a"]}]}, {})
    assert not selects({"matchLabels": {"app": "a"}}, {})


def test_rules_do_not_depend_on_the_order_of_policies() -> None:
    policies = [
        {"metadata": {"namespace": "here"}, "spec": {**of(app), "ingress": [{"from": [of("client")]}]}}
        for app in ("client", "server")
    ]
    assert ruleset(judge(PODS, NAMESPACES, policies)) == ruleset(judge(PODS, NAMESPACES, policies[::-1]))


def test_overlapping_networks_are_merged_since_nft_takes_none() -> None:
    script = ruleset({"ingress": {"10.0.0.2": [Allowed(("10.0.0.0/8", "10.1.0.0/16"))]}, "egress": {}})
    assert "10.0.0.0/8" in script
    assert "10.1.0.0/16" not in script
