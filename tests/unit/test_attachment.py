"""Whether policies and extensions apply to the pods of a proxy: selectors, targets, waypoints."""

from __future__ import annotations

from typing import Any

import pytest
from failures import configuration, resource

from pytest_istio_egress.verdict.analysis.attachment import attached
from pytest_istio_egress.verdict.analysis.configuration import Workload

NAME = "gateway.networking.k8s.io/gateway-name"
POD = Workload(namespace="client", labels={"app": "sleep"})
GATEWAY = Workload(namespace="client", labels={NAME: "exit"})
WAYPOINT = Workload(
    namespace="client", labels={NAME: "waypoint", "gateway.istio.io/managed": "istio.io-mesh-controller"}
)


def target(kind: str, name: str) -> dict[str, Any]:
    return {"targetRefs": [{"kind": kind, "name": name}]}


@pytest.mark.parametrize(
    ("namespace", "spec", "workload", "applies"),
    [
        ("client", {}, POD, True),
        ("istio-system", {}, POD, True),
        ("other", {}, POD, False),
        ("client", {"selector": {"matchLabels": {"app": "sleep"}}}, POD, True),
        ("client", {"workloadSelector": {"labels": {"app": "other"}}}, POD, False),
        ("client", target("Gateway", "waypoint"), POD, False),
        ("istio-system", target("GatewayClass", "istio-waypoint"), POD, False),
        ("client", {}, GATEWAY, True),
        ("client", target("Gateway", "exit"), GATEWAY, True),
        ("client", target("Gateway", "another"), GATEWAY, False),
        ("istio-system", target("Gateway", "exit"), GATEWAY, False),
        ("client", {"targetRef": {"kind": "Gateway", "name": "exit"}}, GATEWAY, True),
        ("client", {}, WAYPOINT, False),
        ("client", {"selector": {"matchLabels": {NAME: "waypoint"}}}, WAYPOINT, False),
        ("client", target("Gateway", "waypoint"), WAYPOINT, True),
        ("istio-system", target("GatewayClass", "istio-waypoint"), WAYPOINT, True),
        ("client", target("GatewayClass", "istio-waypoint"), WAYPOINT, False),
        ("client", target("ServiceEntry", "partner"), WAYPOINT, False),
    ],
)
def test_resource_applies_by_namespace_and_target_or_selector(
    namespace: str, spec: dict[str, Any], workload: Workload, *, applies: bool
) -> None:
    document = resource("AuthorizationPolicy", "any", namespace, **spec)
    assert attached(document, configuration(), workload) is applies
