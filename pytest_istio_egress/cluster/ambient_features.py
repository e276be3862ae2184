"""Detects whether a mesh has ambient mode, in a form that tests can use."""

from __future__ import annotations

from pytest_istio_egress.cluster.gateway_api_features import gateway_deployment
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.permissions import AMBIENT, missing_permissions
from pytest_istio_egress.model.istio_versions import older

_SINCE = "1.30"
"""The first release whose ambient outcomes the tests state."""


def waypoints(mesh: Mesh) -> str | None:
    """Return why no waypoint serves clients in an ambient namespace; None where one can be deployed."""
    if mesh.facts.ztunnel is None:
        return f"the mesh has no ambient mode (ztunnel: {mesh.facts.value('ambient', 'unknown')})"
    if why := gateway_deployment(mesh):
        return f"no waypoint can be deployed: {why}"
    return None


def ambient(mesh: Mesh) -> str | None:
    """Return why tests cannot use ambient mode; None where they can."""
    facts = mesh.facts
    if why := waypoints(mesh):
        return why
    if mesh.grants_in is not None:
        return "the namespaces of this run are prepared ones, none of which is ambient"
    if older(facts.istio, _SINCE):
        return f"the ambient tests state the outcomes of Istio {_SINCE} and later, not of {facts.istio}"
    if facts.log is None or not facts.log.has_compared_fields:
        log = facts.value("access-log", "unknown")
        return f"the access log of the mesh, which waypoints write, is no evidence: {log}"
    denied = missing_permissions(mesh.api, (AMBIENT,))
    return f"this user cannot run ambient tests: missing permission: {denied[0]}" if denied else None
