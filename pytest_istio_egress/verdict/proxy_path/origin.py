"""Which Istio resource a part of a proxy's configuration comes from, by the metadata that istiod puts there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# /apis/networking.istio.io/v1/namespaces/payments/virtual-service/by-gateway
_CONFIG = re.compile(r"/apis/[^/]+/[^/]+/namespaces/(?P<namespace>[^/]*)/(?P<kind>[^/]+)/(?P<name>.+)")


@dataclass(frozen=True)
class Origin:
    """An Istio resource, such as VirtualService by-gateway in payments."""

    kind: str
    name: str
    namespace: str

    def names(self, document: Mapping[str, Any]) -> bool:
        """Whether it is a resource that was read."""
        metadata = document["metadata"]
        return (self.kind, self.name, self.namespace) == (document["kind"], metadata["name"], metadata["namespace"])

    def __str__(self) -> str:
        """Return it as sentences have it."""
        return f"{self.kind} {self.name} in {self.namespace}"


@dataclass(frozen=True)
class ServiceOfCluster:
    """The Service or ServiceEntry host that a cluster stands for; `name` is the host for a ServiceEntry."""

    host: str
    name: str
    namespace: str


def _istio(part: Mapping[str, Any]) -> Mapping[str, Any]:
    istio: Mapping[str, Any] = ((part.get("metadata") or {}).get("filter_metadata") or {}).get("istio") or {}
    return istio


def origin_of(part: Mapping[str, Any] | None) -> Origin | None:
    """Return the resource that `metadata.filter_metadata.istio.config` names: of a route, filter chain or cluster."""
    match = _CONFIG.fullmatch(str(_istio(part or {}).get("config", "")))
    if match is None:
        return None
    kind = "".join(word.capitalize() for word in match["kind"].split("-"))
    # An HTTPRoute or TLSRoute is converted: its VirtualService has a generated name.
    return Origin(kind, match["name"], match["namespace"])


def services_of(cluster: Mapping[str, Any] | None) -> tuple[ServiceOfCluster, ...]:
    """Return what `metadata.filter_metadata.istio.services` of a cluster names."""
    return tuple(
        ServiceOfCluster(str(each.get("host", "")), str(each.get("name", "")), str(each.get("namespace", "")))
        for each in _istio(cluster or {}).get("services") or []
    )
