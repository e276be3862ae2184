"""Renders the allowed traffic as one nftables transaction."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Literal

from pytest_istio_egress.embedded.network_policy.judgement import Allowed, Direction, Judgement, Ports

TABLE = "inet network_policy"
Family = Literal["ip", "ip6"]
"""nft's names of the IP families."""
# Replies to an allowed packet are allowed; all other packets of a connection are checked one by one, so that a later
# policy ends it. A chain returns packets that it allows, so that the rules of both sides apply. IPv6 asks by ICMP for
# the link address of a neighbour, which policies are not about (IPv4 asks by ARP, which is not IP).
BASE = """\
  chain answers {
    ct direction reply ct state established accept
    ct state related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } accept
  }
  chain forward {
    type filter hook forward priority filter + 10
    jump answers
    ip saddr vmap @egress_ip
    ip daddr vmap @ingress_ip
    ip6 saddr vmap @egress_ip6
    ip6 daddr vmap @ingress_ip6
  }
  chain input {
    type filter hook input priority filter + 10
    jump answers
    ip saddr vmap @egress_ip
    ip6 saddr vmap @egress_ip6
  }
"""


def ruleset(judgement: Judgement) -> str:
    """Return the script for `nft -f -` that replaces the whole table at once; it depends only on `judgement`."""
    lines = [f"table {TABLE} {{}}", f"delete table {TABLE}", f"table {TABLE} {{"]
    lines += _direction("ingress", "saddr", judgement)
    lines += _direction("egress", "daddr", judgement)
    return "\n".join([*lines, BASE + "}", ""])


def _direction(direction: Direction, other: str, judgement: Judgement) -> Iterator[str]:
    """Yield a chain for each isolated pod's address, and a map to these chains for each family."""
    isolated = judgement[direction]
    for address, ways in sorted(isolated.items()):
        family = _family(address)
        yield f"  chain {_chain(direction, address)} {{"
        yield f"    {family} {other} {address} return"
        for way in sorted(set(ways), key=repr):
            yield from (f"    {line}" for line in _rules(way, family, other))
        yield from ("    drop", "  }")
    for family, kind in (("ip", "ipv4_addr"), ("ip6", "ipv6_addr")):
        own = [address for address in sorted(isolated) if _family(address) == family]
        elements = ", ".join(f"{address} : jump {_chain(direction, address)}" for address in own)
        stated = f" elements = {{ {elements} }};" if elements else ""
        yield f"  map {direction}_{family} {{ type {kind} : verdict;{stated} }}"


def _family(network: str) -> Family:
    return "ip6" if ":" in network else "ip"


def _chain(direction: str, address: str) -> str:
    return f"{direction}_{address.replace('.', '_').replace(':', '_')}"


def _rules(way: Allowed, family: Family, other: str) -> Iterator[str]:
    peers = ""
    if way.networks is not None:
        networks = _of(family, way.networks)
        if not networks:
            return
        peers = f"{family} {other} {_set(networks)} "
    if without := _of(family, way.without):
        peers += f"{family} {other} != {_set(without)} "
    if way.ports is None:
        yield f"{peers}return"
        return
    for port in way.ports:
        yield f"{peers}{_port(port)} return"


def _of(family: Family, networks: Iterable[str]) -> list[str]:
    return [network for network in networks if _family(network) == family]


def _port(ports: Ports) -> str:
    protocol = ports.protocol.lower()
    if ports.first is None:
        return f"meta l4proto {protocol}"
    if ports.last in {None, ports.first}:
        return f"{protocol} dport {ports.first}"
    return f"{protocol} dport {ports.first}-{ports.last}"


def _set(networks: Iterable[str]) -> str:
    """Merge networks of one family: nft rejects sets whose ranges overlap."""
    parsed = [ipaddress.ip_network(network, strict=False) for network in networks]
    merged = ipaddress.collapse_addresses(parsed)  # type: ignore[type-var]  # all are of one family
    return f"{{ {', '.join(str(network) for network in merged)} }}"
