"""What a proxy's admin interface says of its configuration and of what it has counted."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from pytest_istio_egress.cluster.admin import admin
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.config_dump import (
    Cluster,
    Listener,
    VirtualHost,
    chains,
    mentions,
    narrowed,
    virtual_host,
)
from pytest_istio_egress.cluster.pods import Pod

_SERIES = re.compile(r"(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>\d+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


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
        return [Listener(listener["name"], tuple(chains(listener))) for listener in active]

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
                found.extend(virtual_host(route_config, host) for host in config.get("virtual_hosts", []))
        return found

    def awaited_secrets(self) -> list[str]:
        """Return the names of the secrets that the proxy has asked for and not got, by Istio's names for them."""
        return sorted(entry["name"] for entry in self._dump("dynamic_warming_secrets"))

    def warming_clusters(self) -> list[str]:
        """Return the names of the clusters that the proxy has, but does not use yet."""
        return [cluster.name for cluster in self._clusters("dynamic_warming_clusters")]

    def requests(self, cluster: str) -> int:
        """Return how many requests a cluster has sent to its endpoints; over TCP a connection counts as one."""
        counters = re.compile(re.escape(cluster) + r"::[^:]+:\d+::rq_total::(\d+)")
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
        clusters = [c.raw for c in self.clusters() if c.service is None or mentions(c.name, hosts)]
        names = tuple(cluster["name"] + "::" for cluster in clusters)
        found = [
            entry["active_state"]["listener"] for entry in self._dump("dynamic_listeners") if "active_state" in entry
        ]
        routes = [entry["route_config"] for entry in self._dump("dynamic_route_configs")]
        return {
            "clusters": clusters,
            "endpoints": [line for line in self.text("/clusters").splitlines() if line.startswith(names)],
            "listeners": [
                narrowed(listener, "filter_chains", hosts)
                for listener in found
                if listener["name"].endswith(f"_{port}")
                or listener["name"] == "virtualOutbound"
                or mentions(listener, hosts)
            ],
            "routes": [
                narrowed(route, "virtual_hosts", hosts)
                for route in routes
                if route.get("name") == str(port) or mentions(route, hosts)
            ],
        }

    def text(self, path: str) -> str:
        """Return the raw answer of the proxy's admin interface."""
        return admin(self.api, self.pod, path)

    def _dump(self, resource: str) -> list[dict[str, Any]]:
        answer = self.text(f"/config_dump?resource={resource}")
        try:
            found: list[dict[str, Any]] = json.loads(answer).get("configs", [])
        except json.JSONDecodeError as error:
            raise ClusterError(f"the config dump of {self.pod} is damaged: {error}") from error
        return found
