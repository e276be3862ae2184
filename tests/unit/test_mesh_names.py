"""Names of Istio's documentation are rendered as those of the mesh, and unrendered in reports."""

from typing import Any

import pytest

from pytest_istio_egress.cluster.apply import rendered
from pytest_istio_egress.cluster.mesh_names import MeshNames
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.model.mesh_facts import RUNS_OWN_GATEWAY, Gateway

FOREIGN = MeshNames(
    control_plane="istio-control",
    istiod="istiod-canary",
    gateway=Gateway("tenants", "exit", {"app": "exit", "tier": "edge"}),
    injection=("istio.io/rev", "canary"),
    trust_domain="corp.example",
)
NAMES = Names("k3x9q", "gw1", mesh=FOREIGN)


@pytest.mark.parametrize(
    ("written", "real"),
    [
        ("outbound|80||istio-egressgateway.istio-system.svc.c", "outbound|80||exit.tenants.svc.c"),
        ("http://istiod.istio-system.svc.cluster.local:1/", "http://istiod-canary.istio-control.svc.cluster.local:1/"),
        ("istio-system", "istio-control"),
        ("cluster.local/ns/egress-client/sa/default", "corp.example/ns/egress-client-k3x9q-gw1/sa/default"),
        ("my-istio-system", "my-istio-system"),
        ("a.svc.cluster.local/path", "a.svc.cluster.local/path"),
    ],
)  # fmt: skip
def test_name_in_a_text_is_rendered(written: str, real: str) -> None:
    assert NAMES.render(written) == real


def test_gateway_in_istio_system_stays_there_where_the_control_plane_is_elsewhere() -> None:
    stock = Gateway("istio-system", "istio-egressgateway", {"istio": "egressgateway"})
    names = Names("k3x9q", "gw1", mesh=MeshNames(control_plane="istio-second", gateway=stock))
    gateway = "istio-egressgateway.istio-system.svc.cluster.local"
    assert names.render(f"{gateway} istiod.istio-system istio-system") == f"{gateway} istiod.istio-second istio-second"
    manifest = {"exportTo": [".", "istio-system"], "hosts": ["./*", "istio-system/*"]}
    assert names.render_manifest(manifest) == {
        "exportTo": [".", "istio-second", "istio-system"],
        "hosts": ["./*", "istio-second/*", "istio-system/*"],
    }


def test_rendered_name_is_unrendered_in_reports() -> None:
    written = "outbound|80||istio-egressgateway.istio-system.svc.cluster.local"
    assert NAMES.unrender(NAMES.render(written)) == written


def test_manifest_is_rendered() -> None:
    document = {
        "metadata": {
            "labels": {"istio-injection": "enabled", "x": "y"},
            "annotations": {"networking.istio.io/exportTo": ".,istio-system"},
        },
        "spec": {
            "exportTo": [".", "istio-system"],
            "selector": {"istio": "egressgateway"},
            "egress": [{"hosts": ["./*", "istio-system/*"]}],
        },
    }
    assert NAMES.render_manifest(document) == {
        "metadata": {
            "labels": {"istio.io/rev": "canary", "x": "y"},
            "annotations": {"networking.istio.io/exportTo": ".,istio-control,tenants"},
        },
        "spec": {
            "exportTo": [".", "istio-control", "tenants"],
            "selector": {"app": "exit", "tier": "edge"},
            "egress": [{"hosts": ["./*", "istio-control/*", "tenants/*"]}],
        },
    }


def test_documented_mesh_keeps_all_names() -> None:
    document = {"exportTo": [".", "istio-system"], "selector": {"istio": "egressgateway"}, "istio-injection": "enabled"}
    assert Names("k3x9q", "gw1").render_manifest(document) == document


def test_own_gateway_is_rendered_for_the_worker() -> None:
    names = Names("k3x9q", "gw1", mesh=MeshNames(gateway=RUNS_OWN_GATEWAY))
    assert names.render("istio-egressgateway.istio-system.svc") == "exit.egress-gateway-k3x9q-gw1.svc"
    assert names.render_manifest({"selector": {"istio": "egressgateway"}}) == {
        "selector": {"gateway": "egress-gateway-k3x9q-gw1"}
    }
    assert names.namespace_of("istio-egressgateway.istio-system") == "egress-gateway-k3x9q-gw1"
    assert names.selector("istio-egressgateway.istio-system") == "gateway=egress-gateway-k3x9q-gw1"


def test_cluster_domain_replaces_that_of_services_only() -> None:
    names = MeshNames(cluster_domain="corp.local", trust_domain="td.example")
    text = "a.b.svc.cluster.local *.svc.cluster.local cluster.local/ns/a x.svc.cluster.local.test my.cluster.local"
    rendered = "a.b.svc.corp.local *.svc.corp.local td.example/ns/a x.svc.cluster.local.test my.cluster.local"
    assert names.render(text) == rendered
    assert names.unrender("outbound|80||a.b.svc.corp.local") == "outbound|80||a.b.svc.cluster.local"


ZIPKIN = "zipkin.istio-system.svc.cluster.local"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"egress": [{"hosts": ["./*"]}]}, {"egress": [{"hosts": ["./*", f"*/{ZIPKIN}"]}]}),
        (
            {"egress": [{"port": {"number": 80}, "hosts": ["./*"]}, {"hosts": ["./a.example.com"]}]},
            {"egress": [{"port": {"number": 80}, "hosts": ["./*"]}, {"hosts": ["./a.example.com", f"*/{ZIPKIN}"]}]},
        ),
        (
            {"egress": [{"port": {"number": 80}, "hosts": ["./*"]}]},
            {"egress": [{"port": {"number": 80}, "hosts": ["./*"]}, {"hosts": [f"*/{ZIPKIN}"]}]},
        ),
        ({"egress": [{"hosts": []}]}, {"egress": [{"hosts": []}]}),
        ({"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}, {"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}),
    ],
)
def test_sidecar_gets_the_hosts_of_traces_and_logs(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    sidecar = {"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": {"name": "default"}, "spec": spec}
    traced = Names("k3x9q", "gw0", mesh=MeshNames(telemetry_services=(ZIPKIN,)))
    assert rendered(sidecar, "egress-client", traced)["spec"] == expected
    assert rendered(sidecar, "egress-client", Names("k3x9q", "gw0"))["spec"] == spec
