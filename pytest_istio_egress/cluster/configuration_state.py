"""The state of a proxy's configuration at one moment: two equal states, of which nothing is on its way, stand still."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_istio_egress.cluster.markers import MARKER, is_of_marker
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.verdict.proxy_path.upstream import cluster_type

Entry = dict[str, Any]
Concerns = Callable[[Any], bool]
"""Whether a part of the dump is not about somebody else only."""

_ENDPOINT = re.compile(r"(?P<cluster>.+)::(?P<address>[^:]\S*:\d+)::health_flags::(?P<health>.*)")
_RESOLVED_LATE = frozenset({"STRICT_DNS", "LOGICAL_DNS", "envoy.cluster.dns"})
"""Types of clusters whose addresses Envoy looks up, again and again, after it has the cluster."""
_RESOLVED_ON_DEMAND = "dynamic_forward_proxy"
"""Part of the type of clusters whose addresses Envoy looks up when a request comes."""
_NESTED = ("filter_chains", "virtual_hosts")
"""Parts of listeners and route configurations that each concern hosts of their own."""


@dataclass(frozen=True)
class ConfigurationState:
    """What a proxy has, and whether more is on its way."""

    content: str
    """A digest of its clusters, endpoints, listeners and routes."""
    pending: bool
    """Whether it waits for something: a resource that has yet to warm up, a secret, the address of a host."""


def configuration_state(config: ProxyConfig, concerns: Concerns) -> ConfigurationState:
    """Read the state of a proxy, without the parts that do not concern the test; raises ClusterError."""
    return state_of(config.dump(), config.text("/clusters"), concerns)


def state_of(dump: list[Entry], endpoints: str, concerns: Concerns) -> ConfigurationState:
    """Return the state from the sections of a dump and the text of /clusters."""
    sections: dict[str, list[Entry]] = {
        # A secret concerns no host; it may be as large as the system's certificate authorities.
        name: entries if "secrets" in name else [entry for entry in entries if concerns(entry) or _nested(entry)]
        for section in dump
        for name, entries in section.items()
        if isinstance(entries, list)
    }
    clusters = [entry["cluster"] for entry in sections.get("dynamic_active_clusters", ())]
    names = {cluster["name"] for cluster in clusters}
    found = (_ENDPOINT.fullmatch(line) for line in endpoints.splitlines())
    hosts = sorted(
        {(hit["cluster"], hit["address"], hit["health"]) for hit in found if hit and hit["cluster"] in names}
    )
    content = [
        clusters,
        hosts,
        [_narrowed(entry["active_state"]["listener"], concerns) for entry in _active(sections)],
        [
            _narrowed(entry["route_config"], concerns)
            for entry in sections.get("dynamic_route_configs", ())
            if not is_of_marker(entry["route_config"])
        ],
        sorted(
            str(entry["error_state"]) for entries in sections.values() for entry in entries if "error_state" in entry
        ),
    ]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return ConfigurationState(digest, pending=_is_pending(sections, clusters, {cluster for cluster, _, _ in hosts}))


def _active(sections: Mapping[str, list[Entry]]) -> Iterator[Entry]:
    """Yield the listeners in use but the marker's, of which each sync makes another."""
    for entry in sections.get("dynamic_listeners", ()):
        if "active_state" in entry and not entry.get("name", "").startswith(MARKER):
            yield entry


def _nested(entry: Entry) -> dict[str, Any] | None:
    """Return the listener or route configuration of an entry whose parts concern several hosts, None for others."""
    whole: dict[str, Any] = entry.get("route_config") or entry.get("active_state", {}).get("listener") or {}
    return whole if any(name in whole for name in _NESTED) else None


def _narrowed(whole: dict[str, Any], concerns: Concerns) -> dict[str, Any]:
    return {
        name: [part for part in value if concerns(part)] if name in _NESTED else value for name, value in whole.items()
    }


def _is_pending(sections: Mapping[str, list[Entry]], clusters: list[Entry], resolved: set[str]) -> bool:
    warming = any(sections.get(f"dynamic_warming_{kind}") for kind in ("clusters", "secrets"))
    warming = warming or any("warming_state" in entry for entry in sections.get("dynamic_listeners", ()))
    return warming or any(_awaits_address(cluster, resolved) for cluster in clusters)


def _awaits_address(cluster: Entry, resolved: set[str]) -> bool:
    kind = cluster_type(cluster)
    return _RESOLVED_ON_DEMAND in kind or (kind in _RESOLVED_LATE and cluster["name"] not in resolved)
