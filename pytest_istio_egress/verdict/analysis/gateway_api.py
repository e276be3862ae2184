"""What keeps an HTTPRoute or a TLSRoute of a host from being attached to its parent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_istio_egress.verdict.analysis.configuration import Configuration
from pytest_istio_egress.verdict.analysis.documents import Document, covers, full_name, namespace_of, refusal, spec_of

_GROUPS = {"Gateway": "gateway.networking.k8s.io", "ServiceEntry": "networking.istio.io", "Service": ""}
"""The API group of each kind that may be a parent; a parent without a group is of the first one."""


def unattached(configuration: Configuration, host: str) -> Iterator[str]:
    """Yield why routes of a host are not attached to a parent, as main clauses."""
    yield from parents_missing(configuration, host)
    yield from parents_of_other_group(configuration, host)
    yield from unattached_routes(configuration, host)


def _concerns(route: Document, host: str) -> bool:
    """Whether a route is for a host by its hostnames; one without hostnames, by where it leads."""
    hostnames = spec_of(route).get("hostnames") or []
    backends = [each for rule in spec_of(route).get("rules") or [] for each in rule.get("backendRefs") or []]
    if hostnames:
        return any(covers(str(pattern), host) for pattern in hostnames)
    return any((each.get("kind"), each.get("name")) == ("Hostname", host) for each in backends)


def _routes_of(configuration: Configuration, host: str) -> list[Document]:
    return [route for route in configuration.routes if _concerns(route, host)]


def parents_of_other_group(configuration: Configuration, host: str) -> Iterator[str]:
    """Yield routes of a host whose parent has a kind of another API group: nothing is attached then."""
    for route in _routes_of(configuration, host):
        for parent in spec_of(route).get("parentRefs") or []:
            kind = parent.get("kind") or "Gateway"
            group = parent.get("group", _GROUPS["Gateway"])
            if kind in _GROUPS and group != _GROUPS[kind]:
                yield (
                    f"{full_name(route)} names the parent {kind} {parent.get('name')} with the group "
                    f"{group or repr('')}, and the group of a {kind} is {_GROUPS[kind] or repr('')}, so the route is "
                    "attached to nothing"
                )


def unattached_routes(configuration: Configuration, host: str) -> Iterator[str]:
    """Yield HTTPRoutes and TLSRoutes of a host whose status says that a parent did not accept them."""
    for route in _routes_of(configuration, host):
        statuses: Sequence[Mapping[str, Any]] = (route.get("status") or {}).get("parents") or []
        for status in statuses:
            for condition in status.get("conditions") or []:
                if condition.get("type") in ("Accepted", "ResolvedRefs") and condition.get("status") == "False":
                    parent = status.get("parentRef") or {}
                    kind, name = parent.get("kind") or "Gateway", parent.get("name")
                    place = parent.get("namespace") or namespace_of(route)
                    yield (f"{full_name(route)} is not attached to {kind} {name} in {place} ({refusal(condition)})")


def parents_missing(configuration: Configuration, host: str) -> Iterator[str]:
    """Yield HTTPRoutes and TLSRoutes of a host that name a Gateway which does not exist in that namespace."""
    known = {(namespace_of(each), each["metadata"]["name"]) for each in configuration.api_gateways}
    if "Gateway of the Gateway API" in configuration.unread:
        return
    for route in _routes_of(configuration, host):
        for parent in spec_of(route).get("parentRefs") or []:
            if (parent.get("kind") or "Gateway") != "Gateway":
                continue
            place = parent.get("namespace") or namespace_of(route)
            if (place, parent.get("name")) not in known:
                yield f"{full_name(route)} names the Gateway {parent.get('name')} in {place}, which does not exist"
