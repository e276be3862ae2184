"""What sidecars know of the egress gateway's Service: whether they see it, and the protocol of its port."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from test_facts import Objects

from pytest_istio_egress.cluster.facts.table import FactOverrides, detect_facts
from pytest_istio_egress.cluster.features import DETECTORS
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.model.mesh_facts import Gateway, MeshFacts

EXPORT_TO = "networking.istio.io/exportTo"
CHOSEN = FactOverrides(gateway="istio-system/istio-egressgateway")


def gateway(mesh: Objects, overrides: FactOverrides | None = None) -> Gateway:
    detected = detect_facts(mesh, overrides or FactOverrides()).gateway
    assert detected
    return detected


@pytest.mark.parametrize(
    ("settings", "annotation", "exported"),
    [
        ({}, None, True),
        ({"defaultServiceExportTo": ["*"]}, None, True),
        ({"defaultServiceExportTo": ["."]}, None, False),
        ({"defaultServiceExportTo": ["."]}, "*", True),
        ({}, ".,tenants", False),
        ({}, "~", False),
    ],
)
def test_gateway_is_exported_by_its_annotation_or_the_meshs_default(
    settings: dict[str, Any],
    annotation: str | None,
    exported: bool,  # noqa: FBT001  # pytest hands it over by name
) -> None:
    mesh = Objects().mesh(**settings)
    if annotation:
        mesh.held_as("Service", "istio-egressgateway")["metadata"]["annotations"] = {EXPORT_TO: annotation}
    chosen = gateway(mesh, CHOSEN)
    assert chosen.exported is exported
    as_mesh = cast(Mesh, SimpleNamespace(facts=MeshFacts(gateway=chosen), gateway_log_problem=""))
    assert ("is not exported to other namespaces" in (DETECTORS["egress-gateway"](as_mesh) or "")) is not exported
    # Without a choice the run deploys a gateway of its own where the mesh's cannot be used.
    assert detect_facts(mesh, FactOverrides()).own_gateway is not exported


@pytest.mark.parametrize(
    ("port", "http2"),
    [
        ({"name": "http2"}, True),
        ({"name": "http2-web"}, True),
        ({"name": "grpc-web"}, True),
        ({"name": "http"}, False),
        ({}, False),
        ({"name": "http", "appProtocol": "http2"}, True),
        ({"name": "http", "appProtocol": "kubernetes.io/h2c"}, True),
        ({"name": "http2", "appProtocol": "http"}, False),
    ],
    ids=str,
)
def test_port_is_one_for_http2_by_its_protocol_or_name(port: dict[str, str], http2: bool) -> None:  # noqa: FBT001  # as above
    mesh = Objects()
    mesh.held_as("Service", "istio-egressgateway")["spec"]["ports"] = [{"port": 80, **port}, {"port": 443}]
    found = gateway(mesh)
    assert found.http2 is http2
    reason = DETECTORS["gateway-http2"](cast(Mesh, SimpleNamespace(facts=MeshFacts(gateway=found))))
    assert (reason is None) is http2
