"""A mesh whose names are its own: a revision's label for injection, an egress gateway of another name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client
from suite_run import RunSuite  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import FIELD_MANAGER
from pytest_istio_egress.cluster.readiness import ready_pod

pytestmark = pytest.mark.embedded

GATEWAY = """
apiVersion: v1
kind: Namespace
metadata: {name: tenants}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: way-out, namespace: tenants}
spec:
  selector: {matchLabels: {app: way-out, tier: edge}}
  template:
    metadata:
      annotations: {inject.istio.io/templates: gateway}
      labels: {app: way-out, tier: edge, sidecar.istio.io/inject: "true"}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: istio-proxy, image: auto, imagePullPolicy: IfNotPresent}
---
apiVersion: v1
kind: Service
metadata: {name: way-out, namespace: tenants}
spec:
  selector: {app: way-out, tier: edge}
  ports:
  - {name: http2, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: 8443}
"""


@pytest.fixture
def other_gateway(api: Api) -> Iterator[str]:
    """Bring a gateway that nobody has heard of; returns NAMESPACE/SERVICE."""
    for document in yaml.safe_load_all(GATEWAY):
        metadata = document["metadata"]
        api.resource(document["apiVersion"], document["kind"]).server_side_apply(
            body=document, name=metadata["name"], namespace=metadata.get("namespace"), field_manager=FIELD_MANAGER
        )
    ready_pod(api, "tenants", "tier=edge", timeout=120)
    yield "tenants/way-out"
    client.CoreV1Api(api.client).delete_namespace("tenants")


def test_a_revision_label_and_another_gateway(run_suite: RunSuite, other_gateway: str, tmp_path: Path) -> None:
    report = tmp_path / "report.yaml"
    run = run_suite(
        "--istio-egress-revision=default",
        f"--istio-egress-gateway={other_gateway}",
        f"--istio-egress-report={report}",
        "conformance/egress_gateway/test_two_hops.py",
        "conformance/egress_gateway/test_workload.py",
    )
    assert run.exit == 0, run.output
    assert run.ids("passed")
    assert not run.ids("skipped")
    mesh = yaml.safe_load(report.read_text())["mesh"]
    assert mesh["facts"]["injection"] == {"value": "istio.io/rev=default", "origin": "found"}
    assert mesh["facts"]["revision"]["origin"] == "command line"
    assert "way-out.tenants" in mesh["egress_gateway"]


def test_without_a_gateway_cases_are_skipped_or_fail_as_the_user_chooses(run_suite: RunSuite) -> None:
    without = ("--istio-egress-gateway=none", "conformance/egress_gateway/test_workload.py")
    skipped = run_suite(*without)
    assert skipped.exit == 0, skipped.output
    assert skipped.ids("skipped")
    assert "no egress gateway to ask" in skipped.output
    required = run_suite(*without, "--istio-egress-require=egress-gateway")
    assert required.exit == 1, required.output
    assert not required.ids("skipped")
    assert "the mesh lacks egress-gateway" in required.output


def test_a_run_whose_cases_are_all_skipped_makes_nothing(run_suite: RunSuite, made: Callable[[], set[str]]) -> None:
    run = run_suite("--istio-egress-gateway=none", "conformance/egress_gateway/test_workload.py")
    assert run.exit == 0, run.output
    assert run.ids("skipped")
    assert not made()


def test_the_run_brings_a_gateway(run_suite: RunSuite, made: Callable[[], set[str]]) -> None:
    run = run_suite("--istio-egress-gateway=own", "conformance/egress_gateway/test_two_hops.py")
    assert run.exit == 0, run.output
    assert run.ids("passed")
    assert not run.ids("skipped")
    assert any(name.startswith("egress-gateway-") for name in made()), "what is gone again is told, too"
