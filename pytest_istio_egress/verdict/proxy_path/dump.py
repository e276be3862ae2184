"""The configuration of one proxy as Envoy's admin interface returns it, by the names of its parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_istio_egress.model.addresses import with_port

Part = Mapping[str, Any]
"""A part of the configuration in Envoy's JSON."""


@dataclass(frozen=True)
class Endpoint:
    """An endpoint of a cluster, `ADDRESS:PORT`, and why Envoy does not use it (empty where it does)."""

    address: str
    unhealthy: str = ""


@dataclass(frozen=True, kw_only=True)
class ProxyDump:
    """Active listeners, route configurations, clusters and their endpoints."""

    listeners: Sequence[Part] = ()
    route_configs: Mapping[str, Part] = field(default_factory=dict)
    clusters: Mapping[str, Part] = field(default_factory=dict)
    warming_clusters: Mapping[str, Part] = field(default_factory=dict)
    """Clusters that the proxy received but does not use yet: it waits for a Secret or for DNS."""
    awaited_secrets: frozenset[str] = frozenset()
    """Istio's names (kubernetes://NAME) of the secrets that the proxy requested and did not receive."""
    endpoints: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    """By cluster."""

    def listener(self, name: str) -> Part | None:
        """Return one listener, None where the proxy does not have it."""
        return next((listener for listener in self.listeners if listener.get("name") == name), None)


def read_dump(config_dump: Part, clusters: Part) -> ProxyDump:
    """Read the responses to /config_dump and to /clusters?format=json."""
    entries: dict[str, list[Part]] = {}
    for config in config_dump.get("configs") or []:
        for name, value in config.items():
            if isinstance(value, list):
                entries.setdefault(name, []).extend(value)
    active = [*_parts(entries, "static_clusters", "cluster"), *_parts(entries, "dynamic_active_clusters", "cluster")]
    routes = [
        *_parts(entries, "static_route_configs", "route_config"),
        *_parts(entries, "dynamic_route_configs", "route_config"),
    ]
    return ProxyDump(
        listeners=[
            entry["active_state"]["listener"]
            for entry in entries.get("dynamic_listeners", [])
            if "active_state" in entry
        ],
        route_configs={str(route["name"]): route for route in routes if "name" in route},
        clusters={str(cluster["name"]): cluster for cluster in active},
        warming_clusters={str(each["name"]): each for each in _parts(entries, "dynamic_warming_clusters", "cluster")},
        awaited_secrets=frozenset(str(each.get("name")) for each in entries.get("dynamic_warming_secrets", [])),
        endpoints={str(status["name"]): tuple(_endpoints(status)) for status in clusters.get("cluster_statuses") or []},
    )


def seconds_of(duration: object) -> float | None:
    """Return the seconds of a duration in Envoy's JSON, such as `10s`; None for what is none."""
    text = str(duration)
    return float(text.removesuffix("s")) if re.fullmatch(r"\d+(\.\d+)?s", text) else None


def _parts(entries: Mapping[str, Iterable[Part]], name: str, key: str) -> list[Part]:
    return [entry[key] for entry in entries.get(name, []) if key in entry]


def _endpoints(status: Part) -> Iterator[Endpoint]:
    for host in status.get("host_statuses") or []:
        socket = (host.get("address") or {}).get("socket_address")
        if socket is None:
            continue
        health = host.get("health_status") or {}
        marks = [name for name, value in health.items() if name.startswith("failed_") and value is True]
        marks += (
            [f"eds_health_status {eds}"]
            if (eds := health.get("eds_health_status")) in ("UNHEALTHY", "DRAINING")
            else []
        )
        yield Endpoint(with_port(str(socket["address"]), socket.get("port_value", 0)), ", ".join(marks))
