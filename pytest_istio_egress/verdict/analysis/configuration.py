"""The input of the analysis as plain data: the Istio resources of some namespaces, and one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_istio_egress.verdict.analysis.visibility import Document, covers, spec_of


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Istio resources as the API returns them, and what they refer to."""

    entries: Sequence[Document] = ()
    """ServiceEntries."""
    rules: Sequence[Document] = ()
    """VirtualServices."""
    destination_rules: Sequence[Document] = ()
    gateways: Sequence[Document] = ()
    sidecars: Sequence[Document] = ()
    services: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """The ports of each Service that a resource names and that exists, by its host."""
    gateway_ports: Mapping[tuple[str, str], frozenset[int] | None] = field(default_factory=dict)
    """By a Gateway's namespace and name, the ports of its pods' Services; None where it selects no pod."""
    service_suffix: str = ".svc.cluster.local"
    """What follows NAME.NAMESPACE in the host of a Service."""
    secrets: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    """Names of Secrets by namespace, None where they may not be read."""

    def entries_of(self, host: str) -> list[Document]:
        """Return the ServiceEntries that list a host."""
        return [entry for entry in self.entries if _lists(entry, host)]

    def rules_of(self, host: str) -> list[Document]:
        """Return the VirtualServices of a host."""
        return [rule for rule in self.rules if _lists(rule, host)]


@dataclass(frozen=True, kw_only=True)
class ClientRequest:
    """The client's namespace and labels, and the host and port of its request."""

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
