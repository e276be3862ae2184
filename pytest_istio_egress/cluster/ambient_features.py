"""Detects whether a mesh has ambient mode, in a form that tests can use."""

from __future__ import annotations

import re

from pytest_istio_egress.cluster.gateway_api_features import gateway_deployment
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.permissions import AMBIENT, missing_permissions
from pytest_istio_egress.model.istio_versions import older

_SINCE = "1.30"
"""The first release whose ambient outcomes the tests state."""
_READABLE_LOG = re.compile(r"(text|json)\b(?!.*\bfiltered\b)")
"""The fact `access-log` of a mesh whose waypoints log each request in a format with the fields that tests compare."""


def ambient(mesh: Mesh) -> str | None:
    """Return why tests cannot use ambient mode; None where they can."""
    found = mesh.facts.value("ambient", "unknown")
    if not found.startswith("ztunnel in "):
        return f"the mesh has no ambient mode (ztunnel: {found})"
    if mesh.grants_in is not None:
        return "the namespaces of this run are prepared ones, none of which is ambient"
    if older(mesh.facts.istio, _SINCE):
        return f"the ambient tests state the outcomes of Istio {_SINCE} and later, not of {mesh.facts.istio}"
    if why := gateway_deployment(mesh):
        return f"no waypoint can be deployed: {why}"
    log = mesh.facts.value("access-log", "unknown")
    if not _READABLE_LOG.match(log):
        return f"the access log of the mesh, which waypoints write, is no evidence: {log}"
    denied = missing_permissions(mesh.api, (AMBIENT,))
    return f"this user cannot run ambient tests: missing permission: {denied[0]}" if denied else None
