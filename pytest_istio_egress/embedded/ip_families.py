"""The addresses of the node, its pods and its Services, for each IP family."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """The addresses of one family. Pods and Services have ranges, two Services have fixed addresses."""

    family: str
    """As Kubernetes names it in `ipFamilies`."""
    node: str
    node_prefix: int
    pods: str
    services: str
    api_service: str
    dns_service: str
    anywhere: str
    """The range of all addresses."""


IPV4 = Network(
    family="IPv4",
    node="10.0.0.1",
    node_prefix=24,
    pods="10.244.0.0/16",
    services="10.96.0.0/16",
    api_service="10.96.0.1",
    dns_service="10.96.0.10",
    anywhere="0.0.0.0/0",
)
IPV6 = Network(
    family="IPv6",
    node="fd00:10::1",
    node_prefix=64,
    pods="fd00:10:244::/64",
    services="fd00:10:96::/112",
    api_service="fd00:10:96::1",
    dns_service="fd00:10:96::a",
    anywhere="::/0",
)
NETWORKS = {"ipv4": (IPV4,), "ipv6": (IPV6,), "dual": (IPV4, IPV6)}
"""The networks of a cluster by `ClusterSpec.ip_family`, the family of Services by default first."""
