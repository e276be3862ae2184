"""Istio's names of Envoy's clusters: `outbound|80|v1|api.test`, and at a waypoint `inbound-vip|80|http/v1|api.test`."""

from __future__ import annotations

from dataclasses import dataclass

_WAYPOINT = "inbound-vip"
_PARTS = 4


@dataclass(frozen=True)
class ClusterName:
    """The parts of a name: clusters for a host and a port have one, others such as BlackHoleCluster do not."""

    host: str
    port: int
    subset: str
    """Empty for the host as a whole."""

    @classmethod
    def parse(cls, name: str) -> ClusterName | None:
        """Read a name; None for a cluster that is for no host and port."""
        parts = name.split("|")
        if len(parts) != _PARTS or not parts[1].isdigit():
            return None
        direction, port, subset, host = parts
        if direction == _WAYPOINT:
            subset = subset.partition("/")[2]  # after the protocol
        return cls(host, int(port), subset)


def host_of(cluster: str) -> str:
    """Return the host that a cluster is for; empty where it is for none."""
    name = ClusterName.parse(cluster)
    return name.host if name else ""


def port_of(cluster: str) -> int:
    """Return the port that a cluster is for; 0 where it is for none."""
    name = ClusterName.parse(cluster)
    return name.port if name else 0


def outbound(host: str, port: int = 80, *, subset: str = "") -> str:
    """Return Istio's name of the cluster for a host and port: outbound|80||api.test."""
    return f"outbound|{port}|{subset}|{host}"


def at_waypoint(host: str, port: int = 80, protocol: str = "http") -> str:
    """Return Istio's name of a waypoint's cluster for a host and port: inbound-vip|80|http|api.test."""
    return f"{_WAYPOINT}|{port}|{protocol}|{host}"
