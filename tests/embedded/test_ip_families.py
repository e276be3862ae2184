"""The addresses of a cluster's IP families in the commands and objects that it starts with."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
import yaml

from pytest_istio_egress.embedded import node_commands
from pytest_istio_egress.embedded.cluster import asked_of
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.ip_families import IPV6, NETWORKS, Network
from pytest_istio_egress.embedded.istio_manifest import DUAL_STACK, istio_settings
from pytest_istio_egress.embedded.node_plan import NodePlan
from pytest_istio_egress.embedded.node_setup import addresses_of
from pytest_istio_egress.embedded.node_start import MANIFESTS, with_addresses
from pytest_istio_egress.embedded.spec import IP_FAMILIES, ClusterSpec


def plan(ip_family: str) -> NodePlan:
    folder = Path("/nowhere")
    names = ("kubernetes", "containerd", "etcd")
    return NodePlan("x", folder, dict.fromkeys(names, folder), folder, folder, folder, "pause", (), ip_family)


@pytest.mark.parametrize("network", [network for networks in NETWORKS.values() for network in networks])
def test_fixed_addresses_are_in_their_ranges(network: Network) -> None:
    services = ipaddress.ip_network(network.services)
    assert {ipaddress.ip_address(each) in services for each in (network.api_service, network.dns_service)} == {True}
    # The API server takes the first address of the range for itself.
    assert ipaddress.ip_address(network.api_service) == services[1]
    assert not services.overlaps(ipaddress.ip_network(network.pods))


def test_cluster_of_both_families_has_a_range_of_each() -> None:
    command = " ".join([*node_commands.kube_apiserver(plan("dual")), *node_commands.kube_proxy(plan("dual"))])
    assert "--advertise-address=10.0.0.1 " in command
    assert "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112 " in command
    assert "--cluster-cidr=10.244.0.0/16,fd00:10:244::/64 " in command


def test_cluster_of_ipv6_has_no_range_of_ipv4() -> None:
    command = " ".join([*node_commands.kube_apiserver(plan("ipv6")), *node_commands.kube_proxy(plan("ipv6"))])
    assert "--advertise-address=fd00:10::1 " in command
    assert "10.96" not in command
    assert "10.244" not in command


@pytest.mark.parametrize(
    ("ip_family", "addresses", "policy"),
    [
        ("ipv4", ["10.96.0.10"], "SingleStack"),
        ("ipv6", ["fd00:10:96::a"], "SingleStack"),
        ("dual", ["10.96.0.10", "fd00:10:96::a"], "RequireDualStack"),
    ],
)
def test_service_of_dns_has_the_addresses_that_pods_ask(ip_family: str, addresses: list[str], policy: str) -> None:
    objects = yaml.safe_load_all((MANIFESTS / "coredns.yaml").read_text())
    found = list(with_addresses(objects, NETWORKS[ip_family]))
    service = next(each for each in found if each["kind"] == "Service")
    assert (service["spec"]["clusterIPs"], service["spec"]["ipFamilyPolicy"]) == (addresses, policy)
    assert len(found) == 6


def test_node_does_not_look_for_duplicates_of_its_ipv6_address() -> None:
    assert "address add fd00:10::1/64 dev node0 nodad\n" in addresses_of(IPV6)


def test_only_dual_stack_changes_istio() -> None:
    plain = istio_settings("ALLOW_ANY", "1.31")
    assert istio_settings("ALLOW_ANY", "1.31", ip_family="ipv6") == plain
    assert set(istio_settings("ALLOW_ANY", "1.31", ip_family="dual")) - set(plain) == set(DUAL_STACK)


def test_running_cluster_of_another_family_is_not_taken_for_the_requested_one() -> None:
    assert len({asked_of(ClusterSpec(ip_family=family))["IP family"] for family in IP_FAMILIES}) == 3


def test_unknown_family_is_an_error() -> None:
    with pytest.raises(EmbeddedError, match="invalid IP family 'ipv5': use ipv4, ipv6, dual"):
        ClusterSpec(ip_family="ipv5")
