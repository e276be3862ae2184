"""Whether a resource with targetRefs or a selector applies to the pods of a proxy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_istio_egress.model.ambient_names import WAYPOINT_CLASS, WAYPOINT_POD
from pytest_istio_egress.model.mesh_facts import OF_GATEWAY_API
from pytest_istio_egress.verdict.analysis.configuration import Configuration, Workload
from pytest_istio_egress.verdict.analysis.documents import Document, namespace_of, selects, spec_of


def targets_of(document: Document) -> list[Mapping[str, Any]]:
    """Return the resources that a policy or an extension names as its targets."""
    spec = spec_of(document)
    return [*(spec.get("targetRefs") or []), *([spec["targetRef"]] if spec.get("targetRef") else [])]


def is_waypoint(workload: Workload) -> bool:
    """Whether pods are those of a waypoint."""
    name, value = WAYPOINT_POD
    return workload.labels.get(name) == value


def attached(document: Document, configuration: Configuration, workload: Workload) -> bool:
    """Whether a policy or an extension applies to all that the proxies of a workload do.

    By Istio's rules: of the workload's namespace or the root namespace; by its selector, which waypoints ignore; or by
    a target that is the Gateway of these pods, or the GatewayClass of waypoints. A target that is a Service or a
    ServiceEntry is only for requests to it, and does not count here.
    """
    root = configuration.mesh.root
    if namespace_of(document) not in (workload.namespace, root):
        return False
    targets = targets_of(document)
    if not targets:
        return not is_waypoint(workload) and selects(document, workload.labels)
    gateway = workload.labels.get(OF_GATEWAY_API, "")
    own = {("Gateway", gateway)} if gateway and namespace_of(document) == workload.namespace else set()
    if is_waypoint(workload) and namespace_of(document) == root:
        own.add(("GatewayClass", WAYPOINT_CLASS))
    return any((target.get("kind"), target.get("name")) in own for target in targets)
