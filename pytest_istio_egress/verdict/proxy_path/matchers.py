"""Which filter chain a listener's matcher tree chooses (`filter_chain_matcher`), as waypoints have it.

destination IP 240.0.0.81 -> destination port 80 -> the chain inbound-vip|80|http|api.partner.test
nothing matches           -> application protocol -> the chain direct-http or direct-tcp
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_istio_egress.verdict.proxy_path.dump import Part
from pytest_istio_egress.verdict.proxy_path.listeners import longest_prefix


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A connection as a matcher sees it."""

    address: str
    port: int
    tls: bool
    http: bool
    """Whether its first bytes are plain HTTP."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """The values of Envoy's inputs, by the end of the input's type."""
        return {
            "DestinationIPInput": self.address,
            "DestinationPortInput": str(self.port),
            "TransportProtocolInput": "tls" if self.tls else "raw_buffer",
            "ApplicationProtocolInput": "'http/1.1'" if self.http and not self.tls else "",
        }


def chosen_chain(matcher: Part, connection: Connection) -> str:
    """Return the name of the chain that a matcher chooses; empty where it chooses none, or by an unknown input."""
    tree = matcher.get("matcher_tree") or {}
    value = connection.inputs.get(_type_of((tree.get("input") or {}).get("typed_config") or {}))
    found = None if value is None else _match_of(tree, value)
    return (_chain_of(found, connection) if found else "") or _chain_of(matcher.get("on_no_match") or {}, connection)


def _chain_of(on_match: Part, connection: Connection) -> str:
    if "matcher" in on_match:
        return chosen_chain(on_match["matcher"], connection)
    action = on_match.get("action") or {}
    return str((action.get("typed_config") or {}).get("value") or action.get("name") or "")


def _match_of(tree: Part, value: str) -> Part | None:
    exact: dict[str, Part] = (tree.get("exact_match_map") or {}).get("map") or {}
    if value in exact:
        return exact[value]
    ranges = ((tree.get("custom_match") or {}).get("typed_config") or {}).get("range_matchers") or []
    best: Part | None = None
    longest = -1
    for each in ranges:
        length = longest_prefix(each.get("ranges") or (), value)
        if length is not None and length > longest:
            best, longest = each.get("on_match"), length
    return best


def _type_of(config: Part) -> str:
    return str(config.get("@type", "")).rpartition(".")[2]
