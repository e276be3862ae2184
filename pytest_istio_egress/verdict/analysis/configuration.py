"""What the API holds, and who asked for what: plain data that the analysis goes by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_istio_egress.verdict.analysis.visibility import Document, covers, spec_of

CLUSTER_LOCAL = ".svc.cluster.local"


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What the API holds, as it returns it, and what the resources point to.

    `services` are the ports of each Service (by its host) that a resource names and that exists. `gateway_ports`
    are, by a Gateway's namespace and name, the ports of the Services before the pods that it selects; None where it
    selects no pod. `secrets` are names by namespace, None where they may not be read.
    """

    entries: Sequence[Document] = ()
    rules: Sequence[Document] = ()
    destination_rules: Sequence[Document] = ()
    gateways: Sequence[Document] = ()
    sidecars: Sequence[Document] = ()
    services: Mapping[str, frozenset[int]] = field(default_factory=dict)
    gateway_ports: Mapping[tuple[str, str], frozenset[int] | None] = field(default_factory=dict)
    secrets: Mapping[str, frozenset[str] | None] = field(default_factory=dict)

    def listing(self, host: str) -> list[Document]:
        """Return the ServiceEntries that list a host."""
        return [entry for entry in self.entries if _lists(entry, host)]

    def rules_of(self, host: str) -> list[Document]:
        """Return the VirtualServices that are for a host."""
        return [rule for rule in self.rules if _lists(rule, host)]


@dataclass(frozen=True, kw_only=True)
class ClientRequest:
    """Who asked for what: the client's namespace and labels, host and port of the request."""

    namespace: str
    labels: Mapping[str, str]
    host: str
    port: int


def _lists(document: Document, host: str) -> bool:
    return any(covers(pattern, host) for pattern in spec_of(document).get("hosts") or [])


def ports_of(entry: Document) -> list[int]:
    """Return the ports of a ServiceEntry."""
    return [int(port["number"]) for port in spec_of(entry).get("ports") or []]


def routes_of(rule: Document) -> list[Mapping[str, Any]]:
    """Return the routes of a VirtualService, of all protocols."""
    spec = spec_of(rule)
    return [route for protocol in ("http", "tls", "tcp") for route in spec.get(protocol) or []]
