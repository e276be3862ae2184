"""Reads facts out of a proxy's configuration: clusters, listeners, routes; only here is the dump's shape known."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.pods import Pod, run

_ADMIN = "http://127.0.0.1:15000"
_SERIES = re.compile(r"(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>\d+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


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


class ProxyConfig:
    """The configuration of one injected pod's proxy, as it is at the moment of each question."""

    def __init__(self, api: Api, pod: Pod) -> None:
        self.api = api
        self.pod = pod

    def clusters(self) -> list[Cluster]:
        """Return the clusters that istiod sent, by name."""
        return self._clusters("dynamic_active_clusters")

    def own_clusters(self) -> list[Cluster]:
        """Return the clusters that the proxy brings along: its ways to agent and control plane, by name."""
        return self._clusters("static_clusters")

    def _clusters(self, resource: str) -> list[Cluster]:
        found = []
        for entry in self._dump(resource):
            cluster = entry["cluster"]
            kind = cluster.get("type") or cluster.get("cluster_type", {}).get("name", "STATIC")
            found.append(Cluster(cluster["name"], kind, cluster.get("lb_policy", "ROUND_ROBIN"), cluster))
        return sorted(found, key=lambda cluster: cluster.name)

    def outbound(self) -> list[tuple[str, str]]:
        """Return host and port of every outbound service that the proxy knows (`istioctl proxy-config clusters`)."""
        services = (cluster.service for cluster in self.clusters())
        return sorted({(host, port) for direction, port, _, host in filter(None, services) if direction == "outbound"})

    def cluster(self, name: str) -> Cluster | None:
        """Return one cluster, None if the proxy has none of that name."""
        return next((cluster for cluster in self.clusters() if cluster.name == name), None)

    def listeners(self) -> list[Listener]:
        """Return the active listeners."""
        active = (
            entry["active_state"]["listener"] for entry in self._dump("dynamic_listeners") if "active_state" in entry
        )
        return [Listener(listener["name"], tuple(_chains(listener))) for listener in active]

    def listener(self, name: str) -> Listener | None:
        """Return one listener, None if the proxy has none of that name."""
        return next((listener for listener in self.listeners() if listener.name == name), None)

    def logs_requests(self) -> bool:
        """Whether the filters that take outbound requests write an access log; a proxy without any could."""
        outbound = (
            entry["active_state"]["listener"] for entry in self._dump("dynamic_listeners") if "active_state" in entry
        )
        takers = [
            settings
            for listener in outbound
            if listener.get("traffic_direction") == "OUTBOUND"
            for chain in [*listener.get("filter_chains", []), listener.get("default_filter_chain", {})]
            for settings in (entry.get("typed_config", {}) for entry in chain.get("filters", []))
            if settings.get("@type", "").endswith(("HttpConnectionManager", "TcpProxy"))
        ]
        return not takers or any(settings.get("access_log") for settings in takers)

    def virtual_hosts(self, route_config: str) -> list[VirtualHost]:
        """Return the virtual hosts of one route configuration (named after its port for outbound HTTP)."""
        found: list[VirtualHost] = []
        for entry in self._dump("dynamic_route_configs"):
            config = entry["route_config"]
            if config.get("name") == route_config:
                found.extend(_virtual_host(route_config, host) for host in config.get("virtual_hosts", []))
        return found

    def awaited_secrets(self) -> list[str]:
        """Return the names of the secrets that the proxy has asked for and not got, by Istio's names for them."""
        return sorted(entry["name"] for entry in self._dump("dynamic_warming_secrets"))

    def warming_clusters(self) -> list[str]:
        """Return the names of the clusters that the proxy has, but does not use yet."""
        return [cluster.name for cluster in self._clusters("dynamic_warming_clusters")]

    def requests(self, cluster: str) -> int:
        """Return how many requests (over TCP: connections) a cluster has sent to its endpoints."""
        counters = re.compile(re.escape(cluster) + r"::[^:]+:\d+::[rc][qx]_total::(\d+)")
        return sum(int(found[1]) for line in self.text("/clusters").splitlines() if (found := counters.fullmatch(line)))

    def metric(self, name: str, labels: Mapping[str, str]) -> int:
        """Return a counter of the proxy's own metrics, summed over all series that carry these labels."""
        series = (_SERIES.fullmatch(line) for line in self.text("/stats/prometheus").splitlines())
        return sum(
            int(found["value"])
            for found in series
            if found and found["name"] == name and labels.items() <= dict(_LABEL.findall(found["labels"])).items()
        )

    def concerning(self, hosts: Collection[str], port: int | None) -> dict[str, Any]:
        """Return the part of the dump that is about some hosts: clusters, endpoints, listeners and routes.

        What catches all the rest (BlackHoleCluster, PassthroughCluster, block_all, allow_any) is part of it, and of
        the listeners and routes of `port` what is bound to no other host.
        """
        clusters = [c.raw for c in self.clusters() if c.service is None or _mentions(c.name, hosts)]
        names = tuple(cluster["name"] + "::" for cluster in clusters)
        found = [
            entry["active_state"]["listener"] for entry in self._dump("dynamic_listeners") if "active_state" in entry
        ]
        routes = [entry["route_config"] for entry in self._dump("dynamic_route_configs")]
        return {
            "clusters": clusters,
            "endpoints": [line for line in self.text("/clusters").splitlines() if line.startswith(names)],
            "listeners": [
                _narrowed(listener, "filter_chains", hosts)
                for listener in found
                if listener["name"].endswith(f"_{port}")
                or listener["name"] == "virtualOutbound"
                or _mentions(listener, hosts)
            ],
            "routes": [
                _narrowed(route, "virtual_hosts", hosts)
                for route in routes
                if route.get("name") == str(port) or _mentions(route, hosts)
            ],
        }

    def text(self, path: str) -> str:
        """Return the raw answer of the proxy's admin interface."""
        ran = run(self.api, self.pod, ["curl", "-s", "--max-time", "10", _ADMIN + path])
        if ran.exit != 0:
            raise ClusterError(
                f"the admin interface of the proxy of {self.pod} did not answer {path}: {ran.stderr.strip()}"
            )
        return ran.stdout

    def _dump(self, resource: str) -> list[dict[str, Any]]:
        answer = self.text(f"/config_dump?resource={resource}")
        try:
            found: list[dict[str, Any]] = json.loads(answer).get("configs", [])
        except json.JSONDecodeError as error:
            raise ClusterError(f"the config dump of {self.pod} is damaged: {error}") from error
        return found


def _mentions(part: Any, hosts: Collection[str]) -> bool:
    text = json.dumps(part)
    return any(host.removeprefix("*") in text for host in hosts)


def _narrowed(whole: dict[str, Any], name: str, hosts: Collection[str]) -> dict[str, Any]:
    """Leave out the filter chains or virtual hosts that are bound to names, and to none of these."""

    def bound(part: dict[str, Any]) -> bool:
        return bool(part.get("filter_chain_match", {}).get("server_names")) or part.get("domains", ["*"]) != ["*"]

    if name not in whole:
        return whole
    return whole | {name: [part for part in whole[name] if not bound(part) or _mentions(part, hosts)]}


def _chains(listener: dict[str, Any]) -> Iterator[FilterChain]:
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


def _virtual_host(route_config: str, host: dict[str, Any]) -> VirtualHost:
    routes = host.get("routes", [])
    clusters = {route["route"]["cluster"] for route in routes if "cluster" in route.get("route", {})}
    return VirtualHost(route_config, host["name"], tuple(host["domains"]), tuple(sorted(clusters)), tuple(routes))
