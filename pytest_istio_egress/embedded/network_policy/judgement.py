"""The traffic that policies allow each pod: pure functions of the API's pods, namespaces and policies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pytest_istio_egress.embedded.network_policy.selectors import selects

Direction = Literal["ingress", "egress"]
Object = Mapping[str, Any]
OVER = {"Succeeded", "Failed"}  # phases of a pod whose address another pod may have


@dataclass(frozen=True)
class Pod:
    """The fields of a pod that policies use; a pod with an address of each IP family is two of these.

    `ports` maps (protocol, name) to numbers, of all its containers.
    """

    namespace: str
    labels: Mapping[str, str]
    address: str
    ports: Mapping[tuple[str, str], tuple[int, ...]]


@dataclass(frozen=True, order=True)
class Ports:
    """One protocol and a range of its ports; `first` None means every port."""

    protocol: str
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, order=True)
class Allowed:
    """Allowed traffic: with `networks` (None: all) except `without`, on `ports` (None: all)."""

    networks: tuple[str, ...] | None
    without: tuple[str, ...] = ()
    ports: tuple[Ports, ...] | None = None


Judgement = dict[Direction, dict[str, list[Allowed]]]
"""For each direction, the addresses of isolated pods, each with its allowed traffic; other pods are not isolated."""


def pods_of(objects: Iterable[Object]) -> list[Pod]:
    """Return the pods that policies can select: those with an address of their own, each address as one pod."""
    return [
        Pod(
            item["metadata"]["namespace"],
            item["metadata"].get("labels") or {},
            entry["ip"],
            _named_ports(item["spec"]),
        )
        for item in objects
        for entry in item.get("status", {}).get("podIPs") or ()
        if item["status"].get("phase") not in OVER and not item["spec"].get("hostNetwork")
    ]


def _named_ports(spec: Object) -> dict[tuple[str, str], tuple[int, ...]]:
    found: dict[tuple[str, str], tuple[int, ...]] = {}
    # A sidecar is an init container that keeps running: its ports count too.
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        for port in container.get("ports") or []:
            if name := port.get("name"):
                key = (port.get("protocol", "TCP"), name)
                found[key] = (*found.get(key, ()), port["containerPort"])
    return found


def judge(pods: list[Pod], namespaces: Mapping[str, Mapping[str, str]], policies: Iterable[Object]) -> Judgement:
    """Return the allowed traffic of every isolated pod; `namespaces` maps a namespace's name to its labels."""
    found: Judgement = {"ingress": {}, "egress": {}}
    for policy in policies:
        spec, namespace = policy["spec"], policy["metadata"]["namespace"]
        chosen = [p for p in pods if p.namespace == namespace and selects(spec.get("podSelector") or {}, p.labels)]
        for direction in directions(spec):
            for pod in chosen:
                ways = found[direction].setdefault(pod.address, [])
                for rule in spec.get(direction) or []:
                    ways.extend(_ways(direction, rule, pod, namespace, pods, namespaces))
    return found


def directions(spec: Object) -> list[Direction]:
    """Return the directions that a policy isolates: by default ingress, and egress if it has egress rules."""
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return [direction for direction in ("ingress", "egress") if direction.capitalize() in types]


def _ways(
    direction: Direction,
    rule: Object,
    pod: Pod,
    namespace: str,
    pods: list[Pod],
    namespaces: Mapping[str, Mapping[str, str]],
) -> Iterator[Allowed]:
    ports = rule.get("ports") or []
    for networks, without, others in _peers(rule, direction, namespace, pods, namespaces):
        if not ports:
            yield Allowed(networks, without)
            continue
        by_number = tuple(sorted(_numbered(port) for port in ports if not isinstance(port.get("port"), str)))
        if by_number:
            yield Allowed(networks, without, by_number)
        for port in ports:
            if isinstance(port.get("port"), str):
                yield from _by_name(direction, port, pod, networks, without, others)


def _peers(
    rule: Object, direction: Direction, namespace: str, pods: list[Pod], namespaces: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[tuple[str, ...] | None, tuple[str, ...], list[Pod]]]:
    """Yield each set of peers: its networks, the exceptions from them, and the pods among them."""
    peers = rule.get("from" if direction == "ingress" else "to") or []
    if not peers:
        yield None, (), pods
        return
    chosen: dict[str, Pod] = {}
    for peer in peers:
        if block := peer.get("ipBlock"):
            without = tuple(block.get("except") or ())
            yield (block["cidr"],), without, [p for p in pods if _within(p.address, block["cidr"], without)]
        else:
            for other in pods:
                if _chosen(peer, other, namespace, namespaces):
                    chosen[other.address] = other
    if chosen:
        yield tuple(sorted(chosen)), (), list(chosen.values())


def _chosen(peer: Object, other: Pod, namespace: str, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
    of_namespace = peer.get("namespaceSelector")
    if of_namespace is None:
        right = other.namespace == namespace
    else:
        right = selects(of_namespace, namespaces.get(other.namespace, {}))
    return right and selects(peer.get("podSelector") or {}, other.labels)


def _within(address: str, block: str, without: tuple[str, ...]) -> bool:
    one = ipaddress.ip_address(address)
    inside = one in ipaddress.ip_network(block, strict=False)
    return inside and not any(one in ipaddress.ip_network(cut, strict=False) for cut in without)


def _numbered(port: Object) -> Ports:
    first = port.get("port")
    return Ports(port.get("protocol", "TCP"), first, port.get("endPort", first))


def _by_name(
    direction: Direction,
    port: Object,
    pod: Pod,
    networks: tuple[str, ...] | None,
    without: tuple[str, ...],
    others: list[Pod],
) -> Iterator[Allowed]:
    """Resolve the name of a port in the containers of the receiving pod: the pod itself, or each of its peers."""
    protocol = port.get("protocol", "TCP")
    key = (protocol, port["port"])
    if direction == "ingress":
        if numbers := pod.ports.get(key):
            yield Allowed(networks, without, tuple(Ports(protocol, number, number) for number in numbers))
        return
    for other in others:
        if numbers := other.ports.get(key):
            yield Allowed((other.address,), (), tuple(Ports(protocol, number, number) for number in numbers))
