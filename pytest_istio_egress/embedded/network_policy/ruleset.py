"""Renders the allowed traffic as one nftables transaction."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from pytest_istio_egress.embedded.network_policy.judgement import Allowed, Judgement, Ports

TABLE = "inet network_policy"
# Replies to an allowed packet are allowed; all other packets of a connection are checked one by one, so that a later
# policy ends it. A chain returns packets that it allows, so that the rules of both sides apply.
BASE = """\
  chain answers {
    ct direction reply ct state established accept
    ct state related accept
  }
  chain forward {
    type filter hook forward priority filter + 10
    jump answers
    ip saddr vmap @egress
    ip daddr vmap @ingress
  }
  chain input {
    type filter hook input priority filter + 10
    jump answers
    ip saddr vmap @egress
  }
"""


def ruleset(judgement: Judgement) -> str:
    """Return the script for `nft -f -` that replaces the whole table at once; it depends only on `judgement`."""
    lines = [f"table {TABLE} {{}}", f"delete table {TABLE}", f"table {TABLE} {{"]
    for direction, other in (("ingress", "saddr"), ("egress", "daddr")):
        pods = judgement["ingress" if direction == "ingress" else "egress"]
        elements = ", ".join(f"{address} : jump {_chain(direction, address)}" for address in sorted(pods))
        for address, ways in sorted(pods.items()):
            lines += [f"  chain {_chain(direction, address)} {{", f"    ip {other} {address} return"]
            lines += [f"    {line}" for way in sorted(set(ways), key=repr) for line in _rules(way, other)]
            lines += ["    drop", "  }"]
        stated = f" elements = {{ {elements} }};" if elements else ""
        lines.append(f"  map {direction} {{ type ipv4_addr : verdict;{stated} }}")
    return "\n".join([*lines, BASE + "}", ""])


def _chain(direction: str, address: str) -> str:
    return f"{direction}_{address.replace('.', '_')}"


def _rules(way: Allowed, other: str) -> Iterator[str]:
    if way.networks == ():
        return
    peers = "" if way.networks is None else f"ip {other} {_set(way.networks)} "
    if way.without:
        peers += f"ip {other} != {_set(way.without)} "
    if way.ports is None:
        yield f"{peers}return"
        return
    for port in way.ports:
        yield f"{peers}{_port(port)} return"


def _port(ports: Ports) -> str:
    protocol = ports.protocol.lower()
    if ports.first is None:
        return f"meta l4proto {protocol}"
    if ports.last in {None, ports.first}:
        return f"{protocol} dport {ports.first}"
    return f"{protocol} dport {ports.first}-{ports.last}"


def _set(networks: Iterable[str]) -> str:
    """Merge the networks: nft rejects sets whose ranges overlap."""
    merged = ipaddress.collapse_addresses(ipaddress.IPv4Network(network, strict=False) for network in networks)
    return f"{{ {', '.join(str(network) for network in merged)} }}"
