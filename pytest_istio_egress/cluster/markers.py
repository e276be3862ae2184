"""What the markers that show whether a proxy is in sync have in common (proxy_sync.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

MARKER = "istio-egress-marker"
"""The name of the resources, and the beginning of what they add to a proxy's configuration."""
FIRST_PORT = 20_000
"""The port of marker 0: no client of the suite uses it, or one above."""
ACTIVE = '"active_state"'
"""What the dump of a listener contains once Envoy uses it: its dependencies have arrived."""


@dataclass(frozen=True)
class Condition:
    """A response of a proxy's admin interface that contains a text."""

    path: str
    text: str


@dataclass(frozen=True)
class Marker:
    """A resource, and what shows that a proxy has it."""

    resource: dict[str, Any]
    shown_by: tuple[Condition, ...]
    """The conditions that are all met once the proxy has it."""


class Markers(Protocol):
    """One kind of marker, numbered."""

    kind: str
    """The kind of its resource for clients."""
    rounds: int
    """How many markers, one after the other, show that a proxy is in sync."""

    def of_clients(self, number: int) -> Marker:
        """Return the marker for every sidecar of a namespace."""
        ...

    def of_gateways(self, number: int) -> Marker:
        """Return the marker for the run's own gateway in a namespace."""
        ...


def name_of(number: int) -> str:
    """Return the name of a marker."""
    return f"{MARKER}-{number}"


def listener(name: str) -> str:
    """Return the path of the dump of the listeners whose whole names match a regular expression."""
    return f"/config_dump?resource=dynamic_listeners&name_regex={name}"


def is_of_marker(route_config: Mapping[str, Any]) -> bool:
    """Whether a route configuration is of a marker's listener: it has a marker's port, and routes for no host.

    Envoy keeps it for a while after the listener has gone.
    """
    name = str(route_config.get("name"))
    if not name.isdecimal() or int(name) < FIRST_PORT:
        return False
    return all(host.get("domains") == ["*"] for host in route_config.get("virtual_hosts", ()))
