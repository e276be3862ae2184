"""A mesh with other names: injection by a revision label, another egress gateway."""

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
metadata: {name: exit, namespace: tenants}
spec:
  selector: {matchLabels: {app: exit, tier: edge}}
  template:
    metadata:
      annotations: {inject.istio.io/templates: gateway}
      labels: {app: exit, tier: edge, sidecar.istio.io/inject: "true"}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: istio-proxy, image: auto, imagePullPolicy: IfNotPresent}
---
apiVersion: v1
kind: Service
metadata: {name: exit, namespace: tenants}
spec:
  selector: {app: exit, tier: edge}
  ports:
  - {name: http2, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: 8443}
"""


@pytest.fixture
def other_gateway(api: Api) -> Iterator[str]:
    """Deploy another gateway; return NAMESPACE/SERVICE."""
    for document in yaml.safe_load_all(GATEWAY):
        metadata = document["metadata"]
        api.resource(document["apiVersion"], document["kind"]).server_side_apply(
            body=document, name=metadata["name"], namespace=metadata.get("namespace"), field_manager=FIELD_MANAGER
        )
    ready_pod(api, "tenants", "tier=edge", timeout=120)
    yield "tenants/exit"
    client.CoreV1Api(api.client).delete_namespace("tenants")


def test_revision_label_and_another_gateway_are_used(run_suite: RunSuite, other_gateway: str, tmp_path: Path) -> None:
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
    assert "exit.tenants" in mesh["egress_gateway"]


def test_missing_gateway_skips_or_fails_tests_by_the_require_option(run_suite: RunSuite) -> None:
    without = ("--istio-egress-gateway=none", "conformance/egress_gateway/test_workload.py")
    skipped = run_suite(*without)
    assert skipped.exit == 6, skipped.output
    assert skipped.ids("skipped")
    assert "no egress gateway found" in skipped.output
    required = run_suite(*without, "--istio-egress-require=egress-gateway")
    assert required.exit == 1, required.output
    assert not required.ids("skipped")
    assert "the mesh lacks egress-gateway" in required.output


def test_run_with_only_skipped_tests_creates_nothing(
    run_suite: RunSuite, created_namespaces: Callable[[], set[str]]
) -> None:
    run = run_suite("--istio-egress-gateway=none", "conformance/egress_gateway/test_workload.py")
    assert run.exit == 6, run.output
    assert run.ids("skipped")
    assert not created_namespaces()


def test_own_gateway_is_deployed_by_the_run(run_suite: RunSuite, created_namespaces: Callable[[], set[str]]) -> None:
    run = run_suite("--istio-egress-gateway=own", "conformance/egress_gateway/test_two_hops.py")
    assert run.exit == 0, run.output
    assert run.ids("passed")
    assert not run.ids("skipped")
    assert any(name.startswith("egress-gateway-") for name in created_namespaces()), "deleted ones are included"
