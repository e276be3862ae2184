"""In an ambient mesh: which waypoint the entries of a host have, and what has such an entry as its target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_istio_egress.model.ambient_names import NO_WAYPOINT, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE
from pytest_istio_egress.verdict.analysis.attachment import targets_of
from pytest_istio_egress.verdict.analysis.configuration import Configuration
from pytest_istio_egress.verdict.analysis.documents import Document, full_name, namespace_of, spec_of


@dataclass(frozen=True, kw_only=True)
class ChosenWaypoint:
    """The waypoint that a label chooses for an entry."""

    name: str
    """Empty where the label says that there is none."""
    namespace: str
    label: str
    """Where the label is, as `the label istio.io/use-waypoint of ServiceEntry api in payments`."""

    def __str__(self) -> str:
        """Return it as it is written in a sentence."""
        return f"waypoint {self.name} in {self.namespace}"


def chosen_waypoint(entry: Document, configuration: Configuration) -> ChosenWaypoint | None:
    """Return the waypoint of an entry: by its own label, else by that of its namespace; None without a label."""
    namespace = namespace_of(entry)
    labelled: tuple[tuple[Mapping[str, str], str], ...] = (
        (entry["metadata"].get("labels") or {}, full_name(entry)),
        (configuration.namespaces.get(namespace) or {}, f"namespace {namespace}"),
    )
    for labels, owner in labelled:
        if name := labels.get(USE_WAYPOINT):
            return ChosenWaypoint(
                name="" if name == NO_WAYPOINT else name,
                namespace=labels.get(USE_WAYPOINT_NAMESPACE) or namespace,
                label=f"the label {USE_WAYPOINT} of {owner}",
            )
    return None


def condition_of(document: Document, name: str) -> Mapping[str, Any]:
    """Return a condition in the status of a resource, empty where it has none."""
    conditions = (document.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each.get("type") == name), {})


def policies_on(entry: Document, configuration: Configuration) -> list[Document]:
    """Return the AuthorizationPolicies whose target is an entry, or the waypoint that its label chooses."""
    waypoint = chosen_waypoint(entry, configuration)
    own = {("ServiceEntry", entry["metadata"]["name"], namespace_of(entry))}
    if waypoint is not None and waypoint.name:
        own.add(("Gateway", waypoint.name, waypoint.namespace))
    return [
        policy
        for policy in configuration.policies
        if any(
            (target.get("kind"), target.get("name"), target.get("namespace") or namespace_of(policy)) in own
            for target in targets_of(policy)
        )
    ]


def policies_without_target(namespace: str, configuration: Configuration) -> list[Document]:
    """Return the AuthorizationPolicies of a namespace that select pods, or all of them: ztunnel enforces these."""
    return [each for each in configuration.policies if namespace_of(each) == namespace and not targets_of(each)]


def unattached_routes(
    entry: Document, host: str, configuration: Configuration
) -> list[tuple[Document, Mapping[str, Any]]]:
    """Return the HTTPRoutes to a host, or of its entry, that a parent does not accept, each with that condition."""
    found = []
    for route in configuration.routes:
        if not (_has_parent(route, entry) or _leads_to(route, host)):
            continue
        for parent in (route.get("status") or {}).get("parents") or []:
            refused = [each for each in parent.get("conditions") or [] if each.get("status") != "True"]
            found += [(route, refused[0])] if refused else []
    return found


def _has_parent(route: Document, entry: Document) -> bool:
    own = ("ServiceEntry", entry["metadata"]["name"], namespace_of(entry))
    return any(
        (parent.get("kind"), parent.get("name"), parent.get("namespace") or namespace_of(route)) == own
        for parent in spec_of(route).get("parentRefs") or []
    )


def _leads_to(route: Document, host: str) -> bool:
    return any(
        (backend.get("kind"), backend.get("name")) == ("Hostname", host)
        for rule in spec_of(route).get("rules") or []
        for backend in rule.get("backendRefs") or []
    )
