"""Names of Istio's documents become those of the mesh that is there, and Services' names come back in reports."""

import pytest

from pytest_istio_egress.cluster.mesh_names import MeshNames
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.model.mesh_facts import RUNS_OWN_GATEWAY, Gateway

FOREIGN = MeshNames(
    control_plane="istio-control",
    istiod="istiod-canary",
    gateway=Gateway("tenants", "way-out", {"app": "way-out", "tier": "edge"}),
    injection=("istio.io/rev", "canary"),
    trust_domain="corp.example",
)
NAMES = Names("k3x9q", "gw1", mesh=FOREIGN)


@pytest.mark.parametrize(
    ("written", "real"),
    [
        ("outbound|80||istio-egressgateway.istio-system.svc.c", "outbound|80||way-out.tenants.svc.c"),
        ("http://istiod.istio-system.svc.cluster.local:1/", "http://istiod-canary.istio-control.svc.cluster.local:1/"),
        ("istio-system", "istio-control"),
        ("cluster.local/ns/egress-client/sa/default", "corp.example/ns/egress-client-k3x9q-gw1/sa/default"),
        ("my-istio-system", "my-istio-system"),
        ("a.svc.cluster.local/path", "a.svc.cluster.local/path"),
    ],
)  # fmt: skip
def test_a_name_in_a_text(written: str, real: str) -> None:
    assert NAMES.render(written) == real


def test_a_report_says_what_the_manifests_say() -> None:
    written = "outbound|80||istio-egressgateway.istio-system.svc.cluster.local"
    assert NAMES.unrender(NAMES.render(written)) == written


def test_a_manifest() -> None:
    document = {
        "metadata": {"labels": {"istio-injection": "enabled", "x": "y"}},
        "spec": {
            "exportTo": [".", "istio-system"],
            "selector": {"istio": "egressgateway"},
            "egress": [{"hosts": ["./*", "istio-system/*"]}],
        },
    }
    assert NAMES.render_manifest(document) == {
        "metadata": {"labels": {"istio.io/rev": "canary", "x": "y"}},
        "spec": {
            "exportTo": [".", "istio-control", "tenants"],
            "selector": {"app": "way-out", "tier": "edge"},
            "egress": [{"hosts": ["./*", "istio-control/*", "tenants/*"]}],
        },
    }


def test_a_mesh_as_documented_changes_nothing() -> None:
    document = {"exportTo": [".", "istio-system"], "selector": {"istio": "egressgateway"}, "istio-injection": "enabled"}
    assert Names("k3x9q", "gw1").render_manifest(document) == document


def test_the_runs_own_gateway_is_the_workers_own() -> None:
    names = Names("k3x9q", "gw1", mesh=MeshNames(gateway=RUNS_OWN_GATEWAY))
    assert names.render("istio-egressgateway.istio-system.svc") == "exit.egress-gateway-k3x9q-gw1.svc"
    assert names.render_manifest({"selector": {"istio": "egressgateway"}}) == {
        "selector": {"gateway": "egress-gateway-k3x9q-gw1"}
    }
    assert names.namespace_of("istio-egressgateway.istio-system") == "egress-gateway-k3x9q-gw1"
    assert names.selector("istio-egressgateway.istio-system") == "gateway=egress-gateway-k3x9q-gw1"
