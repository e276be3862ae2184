"""The configuration and the counters of a proxy, read from its admin interface."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
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
from pytest_istio_egress.cluster.log_config import FOUND_BY, LineParser, log_problem
from pytest_istio_egress.cluster.markers import MARKER
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.verdict.proxy_path.upstream import cluster_type

_SERIES = re.compile(r"(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>\d+)")
_WAITING = re.compile(r"upstream_rq_pending_active: (\d+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class ProxyConfig:
    """The current configuration of the proxy of one injected pod."""

    def __init__(self, api: Api, pod: Pod, read: Callable[[str], str] | None = None) -> None:
        """`read` returns the response of the admin interface to a path; by default each call sends a request."""
        self.api = api
        self.pod = pod
        self._read = read or partial(admin, api, pod)

    def clusters(self) -> list[Cluster]:
        """Return the clusters that istiod sent, sorted by name."""
        return self._clusters("dynamic_active_clusters")

    def own_clusters(self) -> list[Cluster]:
        """Return the static clusters, for the agent and the control plane, sorted by name."""
        return self._clusters("static_clusters")

    def _clusters(self, resource: str) -> list[Cluster]:
        clusters = []
        for entry in self._dump(resource):
            cluster = entry["cluster"]
            clusters.append(
                Cluster(cluster["name"], cluster_type(cluster), cluster.get("lb_policy", "ROUND_ROBIN"), cluster)
            )
        return sorted(clusters, key=lambda cluster: cluster.name)

    def outbound(self) -> list[tuple[str, str]]:
        """Return host and port of every outbound cluster (`istioctl proxy-config clusters`), sorted."""
        services = (cluster.service for cluster in self.clusters())
        return sorted({(host, port) for direction, port, _, host in filter(None, services) if direction == "outbound"})

    def cluster(self, name: str) -> Cluster | None:
        """Return one cluster, None if the proxy does not have it."""
        return next((cluster for cluster in self.clusters() if cluster.name == name), None)

    def listeners(self) -> list[Listener]:
        """Return the active listeners."""
        return [Listener(listener["name"], tuple(chains(listener))) for listener in self._active_listeners()]

    def listener(self, name: str) -> Listener | None:
        """Return one listener, None if the proxy does not have it."""
        return next((listener for listener in self.listeners() if listener.name == name), None)

    def log_problem(self, parse: LineParser, needed: Collection[str] = FOUND_BY) -> str | None:
        """Return why the log of outbound requests cannot serve as evidence, empty where it can (log_config.py).

        None without any listener that handles requests, as at a gateway without a Gateway.
        """
        return log_problem(self._outbound_listeners(), parse, needed)

    def log_flush_interval(self) -> float:
        """Return how many seconds lines of the log may wait before Envoy writes them."""
        options = json.loads(self.text("/server_info")).get("command_line_options", {})
        return float(str(options.get("file_flush_interval", "0s")).removesuffix("s"))

    def outbound_http(self) -> list[dict[str, Any]]:
        """Return the settings of the HTTP connection managers for outbound requests, without the marker's."""
        return [
            settings
            for listener in self._outbound_listeners()
            for chain in [*listener.get("filter_chains", []), listener.get("default_filter_chain", {})]
            for settings in (entry.get("typed_config", {}) for entry in chain.get("filters", []))
            if settings.get("@type", "").endswith("HttpConnectionManager")
        ]

    def tracing_provider(self) -> str | None:
        """Return Envoy's name of the tracer for outbound requests; None without a provider."""
        settings = (manager.get("tracing", {}).get("provider", {}) for manager in self.outbound_http())
        return next((str(provider["name"]) for provider in settings if provider), None)

    def _active_listeners(self) -> list[dict[str, Any]]:
        entries = self._dump("dynamic_listeners")
        return [entry["active_state"]["listener"] for entry in entries if "active_state" in entry]

    def _outbound_listeners(self) -> list[dict[str, Any]]:
        active = self._active_listeners()
        outbound = [listener for listener in active if listener.get("traffic_direction") == "OUTBOUND"]
        return [listener for listener in outbound if not listener.get("name", "").startswith(MARKER)]

    def virtual_hosts(self, route_config: str) -> list[VirtualHost]:
        """Return the virtual hosts of one route configuration (for outbound HTTP its name is the port)."""
        hosts: list[VirtualHost] = []
        for entry in self._dump("dynamic_route_configs"):
            config = entry["route_config"]
            if config.get("name") == route_config:
                hosts.extend(virtual_host(route_config, host) for host in config.get("virtual_hosts", []))
        return hosts

    def awaited_secrets(self) -> list[str]:
        """Return Istio's names of the secrets that the proxy requested and did not receive, sorted."""
        return sorted(entry["name"] for entry in self._dump("dynamic_warming_secrets"))

    def warming_clusters(self) -> list[str]:
        """Return the names of the clusters that the proxy received but does not use yet."""
        return [cluster.name for cluster in self._clusters("dynamic_warming_clusters")]

    def requests(self, cluster: str) -> int:
        """Return the number of requests from a cluster to its endpoints; a TCP connection counts as one."""
        return self._counted(cluster, "rq_total")

    def failed_connections(self, cluster: str) -> int:
        """Return the number of connections from a cluster to its endpoints that were refused, or not made in time."""
        return self._counted(cluster, "cx_connect_fail")

    def active_requests(self, cluster: str) -> int:
        """Return the number of requests of a cluster that its endpoints have not answered yet."""
        return self._counted(cluster, "rq_active")

    def active_connections(self, cluster: str) -> int:
        """Return the number of connections from a cluster to its endpoints."""
        return self._counted(cluster, "cx_active")

    def waiting_requests(self) -> int | None:
        """Return how many requests wait for a connection, to any cluster; None where the proxy does not count them.

        Istio's proxies do so only with `upstream_rq_pending_active` in their proxyStatsMatcher.
        """
        counted = _WAITING.findall(self.text("/stats?filter=upstream_rq_pending_active"))
        return sum(map(int, counted)) if counted else None

    def ejected(self, cluster: str) -> int:
        """Return the number of endpoints of a cluster that outlier detection has ejected."""
        flags = re.compile(re.escape(cluster) + r"::\S+:\d+::health_flags::(\S+)")
        found = (match for line in self.text("/clusters").splitlines() if (match := flags.fullmatch(line)))
        return sum("/failed_outlier_check" in match[1] for match in found)

    def _counted(self, cluster: str, counter: str) -> int:
        """Return the sum of a counter of a cluster's endpoints."""
        counters = re.compile(re.escape(cluster) + rf"::\S+:\d+::{counter}::(\d+)")
        return sum(int(match[1]) for line in self.text("/clusters").splitlines() if (match := counters.fullmatch(line)))

    def metric(self, name: str, labels: Mapping[str, str]) -> int:
        """Return the sum of a metric of the proxy over all series with these labels."""
        series = (_SERIES.fullmatch(line) for line in self.text("/stats/prometheus").splitlines())
        return sum(
            int(match["value"])
            for match in series
            if match and match["name"] == name and labels.items() <= dict(_LABEL.findall(match["labels"])).items()
        )

    def concerning(self, hosts: Collection[str], port: int | None) -> dict[str, Any]:
        """Return the part of the dump for some hosts: clusters, endpoints, listeners and routes.

        It includes the catch-all ones (BlackHoleCluster, PassthroughCluster, block_all, allow_any), and the parts of
        the listeners and routes of `port` that are not for other hosts.
        """
        clusters = [c.raw for c in self.clusters() if c.service is None or mentions(c.name, hosts)]
        names = tuple(cluster["name"] + "::" for cluster in clusters)
        active = [
            entry["active_state"]["listener"] for entry in self._dump("dynamic_listeners") if "active_state" in entry
        ]
        routes = [entry["route_config"] for entry in self._dump("dynamic_route_configs")]
        return {
            "clusters": clusters,
            "endpoints": [line for line in self.text("/clusters").splitlines() if line.startswith(names)],
            "listeners": [
                narrowed(listener, "filter_chains", hosts)
                for listener in active
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
        """Return the raw response of the proxy's admin interface."""
        return self._read(path)

    def _dump(self, resource: str) -> list[dict[str, Any]]:
        return self.dump(f"?resource={resource}")

    def dump(self, query: str = "") -> list[dict[str, Any]]:
        """Return the sections of the config dump, or the entries of the one that a query selects."""
        response = self.text(f"/config_dump{query}")
        try:
            configs: list[dict[str, Any]] = json.loads(response).get("configs", [])
        except json.JSONDecodeError as error:
            raise ClusterError(f"invalid config dump of {self.pod}: {error}") from error
        return configs
