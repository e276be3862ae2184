"""Envoy's config dump as typed data: clusters, listeners and virtual hosts."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cluster:
    """An upstream cluster; `type` is Envoy's (STRICT_DNS, ORIGINAL_DST, EDS, STATIC, or the name of an extension)."""

    name: str
    type: str
    load_balancing: str
    raw: dict[str, Any]

    @property
    def service(self) -> tuple[str, str, str, str] | None:
        """Direction, port, subset and host from Istio's name of the cluster; None for other clusters."""
        parts = self.name.split("|")
        return (parts[0], parts[1], parts[2], parts[3]) if len(parts) == 4 else None


@dataclass(frozen=True)
class FilterChain:
    """One filter chain of a listener: its match, and the clusters of its TCP proxy or its route configuration."""

    server_names: tuple[str, ...]
    prefix_ranges: tuple[str, ...]
    application_protocols: tuple[str, ...]
    destination_port: int | None
    cluster: str | None
    """The only cluster of its TCP proxy."""
    weights: Mapping[str, int]
    """The clusters of a TCP proxy that has several, with their weights."""
    route_config: str | None
    logged: bool
    """Whether its HTTP connection manager or TCP proxy has an access log."""


@dataclass(frozen=True)
class Listener:
    """A listener; `name` is such as 0.0.0.0_443."""

    name: str
    chains: tuple[FilterChain, ...]


@dataclass(frozen=True)
class VirtualHost:
    """A virtual host of a route configuration; `clusters` are those of its routes."""

    route_config: str
    name: str
    domains: tuple[str, ...]
    clusters: tuple[str, ...]
    routes: tuple[dict[str, Any], ...]


def mentions(part: Any, hosts: Collection[str]) -> bool:
    """Whether a part of the dump contains one of some hosts."""
    text = json.dumps(part)
    return any(host.removeprefix("*") in text for host in hosts)


def narrowed(whole: dict[str, Any], name: str, hosts: Collection[str]) -> dict[str, Any]:
    """Return the part of a dump without the filter chains or virtual hosts for other hosts."""

    def bound(part: dict[str, Any]) -> bool:
        return bool(part.get("filter_chain_match", {}).get("server_names")) or part.get("domains", ["*"]) != ["*"]

    if name not in whole:
        return whole
    return whole | {name: [part for part in whole[name] if not bound(part) or mentions(part, hosts)]}


def chains(listener: dict[str, Any]) -> Iterator[FilterChain]:
    """Yield the filter chains of a listener, the default filter chain last."""
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
            logged=any(config.get("access_log") for config in settings),
        )


def virtual_host(route_config: str, host: dict[str, Any]) -> VirtualHost:
    """Read a virtual host of a route configuration."""
    routes = host.get("routes", [])
    clusters = {route["route"]["cluster"] for route in routes if "cluster" in route.get("route", {})}
    return VirtualHost(route_config, host["name"], tuple(host["domains"]), tuple(sorted(clusters)), tuple(routes))
