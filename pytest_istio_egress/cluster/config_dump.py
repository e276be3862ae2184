"""The shape of Envoy's config dump: its clusters, listeners and virtual hosts as the cases speak of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cluster:
    """An upstream cluster; `type` is Envoy's (STRICT_DNS, ORIGINAL_DST, EDS, STATIC, or a cluster type's name)."""

    name: str
    type: str
    load_balancing: str
    raw: dict[str, Any]

    @property
    def service(self) -> tuple[str, str, str, str] | None:
        """Direction, port, subset and host that Istio's name for it holds; None for Envoy's own clusters."""
        parts = self.name.split("|")
        return (parts[0], parts[1], parts[2], parts[3]) if len(parts) == 4 else None


@dataclass(frozen=True)
class FilterChain:
    """One filter chain of a listener: what it matches, and where its TCP proxy or its HTTP routes lead.

    `cluster` is the TCP proxy's one cluster; where it has several, `weights` says how much each of them gets.
    """

    server_names: tuple[str, ...]
    prefix_ranges: tuple[str, ...]
    application_protocols: tuple[str, ...]
    destination_port: int | None
    cluster: str | None
    weights: Mapping[str, int]
    route_config: str | None


@dataclass(frozen=True)
class Listener:
    """A listener; `name` is like 0.0.0.0_443."""

    name: str
    chains: tuple[FilterChain, ...]


@dataclass(frozen=True)
class VirtualHost:
    """A virtual host of a route configuration; `clusters` are those that its routes lead to."""

    route_config: str
    name: str
    domains: tuple[str, ...]
    clusters: tuple[str, ...]
    routes: tuple[dict[str, Any], ...]


def mentions(part: Any, hosts: Collection[str]) -> bool:
    """Whether one of some hosts stands anywhere in a part of the dump."""
    text = json.dumps(part)
    return any(host.removeprefix("*") in text for host in hosts)


def narrowed(whole: dict[str, Any], name: str, hosts: Collection[str]) -> dict[str, Any]:
    """Leave out the filter chains or virtual hosts that are bound to names, and to none of these."""

    def bound(part: dict[str, Any]) -> bool:
        return bool(part.get("filter_chain_match", {}).get("server_names")) or part.get("domains", ["*"]) != ["*"]

    if name not in whole:
        return whole
    return whole | {name: [part for part in whole[name] if not bound(part) or mentions(part, hosts)]}


def chains(listener: dict[str, Any]) -> Iterator[FilterChain]:
    """Read a listener's filter chains, the one for all the rest last."""
    default = [listener["default_filter_chain"]] if "default_filter_chain" in listener else []
    for chain in [*listener.get("filter_chains", []), *default]:
        match = chain.get("filter_chain_match", {})
        settings = [entry.get("typed_config", {}) for entry in chain.get("filters", [])]
        yield FilterChain(
            server_names=tuple(match.get("server_names", ())),
            prefix_ranges=tuple(
                f"{prefix['address_prefix']}/{prefix.get('prefix_len', 32)}"
                for prefix in match.get("prefix_ranges", ())
            ),
            application_protocols=tuple(match.get("application_protocols", ())),
            destination_port=match.get("destination_port"),
            cluster=next((config["cluster"] for config in settings if "cluster" in config), None),
            weights={
                share["name"]: share["weight"]
                for config in settings
                for share in config.get("weighted_clusters", {}).get("clusters", ())
            },
            route_config=next((config["rds"]["route_config_name"] for config in settings if "rds" in config), None),
        )


def virtual_host(route_config: str, host: dict[str, Any]) -> VirtualHost:
    """Read a virtual host of a route configuration."""
    routes = host.get("routes", [])
    clusters = {route["route"]["cluster"] for route in routes if "cluster" in route.get("route", {})}
    return VirtualHost(route_config, host["name"], tuple(host["domains"]), tuple(sorted(clusters)), tuple(routes))
