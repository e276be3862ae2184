"""The example of docs/example, used as in its README, and its failures after changes of its rules."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from suite_run import environment  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.embedded import EmbeddedCluster

pytestmark = pytest.mark.embedded

EXAMPLE = Path(__file__).parents[2] / "docs" / "example"

CommandResult = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def kubectl(embedded: EmbeddedCluster) -> Callable[..., str]:
    """The cluster's own kubectl."""

    def run(*arguments: str) -> str:
        command = [str(embedded.binaries / "kubectl"), "--kubeconfig", str(embedded.kubeconfig), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return run


@pytest.fixture(scope="module")
def rules(kubectl: Callable[..., str]) -> Iterator[None]:
    """The manifests of the example."""
    kubectl("apply", "-f", str(EXAMPLE / "manifests"))
    for namespace, name in (("payments", "payments"), ("stripe", "api")):
        kubectl("rollout", "status", "-n", namespace, f"deployment/{name}", "--timeout=120s")
    yield
    kubectl("delete", "-f", str(EXAMPLE / "manifests"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A user's copy of the example."""
    return shutil.copytree(EXAMPLE, tmp_path / "example")


@pytest.fixture
def run_example(
    embedded: EmbeddedCluster, kubectl: Callable[..., str], repository: Path
) -> Callable[[], CommandResult]:
    """Run the command of the README in it."""
    context = kubectl("config", "current-context").strip()

    def run() -> CommandResult:
        command = [sys.executable, "-m", "pytest", "--istio-egress", "--istio-egress-context", context, "."]
        return subprocess.run(
            command,
            cwd=repository,
            env={**environment(), "KUBECONFIG": str(embedded.kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def state(api: Api) -> set[tuple[str, int, int]]:
    """Return the pods of payments: their ids, restarts and number."""
    pods = api.core.list_namespaced_pod("payments").items
    return {
        (pod.metadata.uid, sum(status.restart_count for status in pod.status.container_statuses), len(pods))
        for pod in pods
    }


def ephemeral_containers(api: Api) -> list[str]:
    """Return the ephemeral containers of payments' pods."""
    pods = api.core.list_namespaced_pod("payments").items
    return [container.name for pod in pods for container in pod.spec.ephemeral_containers or []]


@pytest.mark.usefixtures("rules")
def test_example_passes_and_does_not_change_the_workload(
    run_example: Callable[[], CommandResult], api: Api, created_namespaces: Callable[[], set[str]]
) -> None:
    before = state(api)
    first = run_example()
    assert first.returncode == 0, first.stdout
    assert "conformance" not in first.stdout, "only the repository's tests run"
    containers = ephemeral_containers(api)
    assert len(containers) == 1
    assert run_example().returncode == 0
    assert ephemeral_containers(api) == containers, "the second run reuses the container of the first"
    assert state(api) == before
    assert not created_namespaces(), "the suite's clients and servers are not needed"


@pytest.mark.usefixtures("rules")
def test_allow_any_fails_with_the_passthrough_cluster(
    run_example: Callable[[], CommandResult], kubectl: Callable[..., str]
) -> None:
    open_up = '{"spec": {"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}}'
    kubectl("patch", "sidecar.networking.istio.io/default", "-n", "payments", "--type=merge", "-p", open_up)
    try:
        done = run_example()
    finally:
        kubectl("apply", "-f", str(EXAMPLE / "manifests" / "rules.yaml"))
    assert done.returncode == 1, done.stdout
    assert "The sidecar sent the request to PassthroughCluster" in done.stdout


@pytest.mark.usefixtures("rules")
def test_bypassed_gateway_fails_with_the_missing_log_line(
    run_example: Callable[[], CommandResult], kubectl: Callable[..., str]
) -> None:
    kubectl("delete", "virtualservice.networking.istio.io/stripe", "-n", "payments")
    try:
        done = run_example()
    finally:
        kubectl("apply", "-f", str(EXAMPLE / "manifests" / "rules.yaml"))
    assert done.returncode == 1, done.stdout
    assert "egress gateway access log: expected a line for this request, got none" in done.stdout


RULE_WITH_MANIFEST = """
import pytest
from pytest_istio_egress import answered, documented, get, workload

PAYMENTS = workload("deployment/payments", namespace="payments")
PROBES = [get(f"http://api.added.example/{number}", client=PAYMENTS, to="192.0.2.1") for number in range(2)]

@documented(source="https://wiki.example.com/added", summary="payments may reach the host api.added.example")
@pytest.mark.parametrize(
    ("probe", "expected"),
    [pytest.param(PROBES[0], answered(), id="right"), pytest.param(PROBES[1], answered(status=404), id="wrong")],
)
def test_added(egress, probe, expected):
    egress.expect(probe, expected)
"""
ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: added, namespace: payments}
spec:
  hosts: [api.added.example]
  exportTo: [.]
  location: MESH_EXTERNAL
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: ADDRESS}]
"""


@pytest.mark.usefixtures("rules")
def test_rule_with_a_manifest_is_tested_once_the_workload_has_it(
    run_example: Callable[[], CommandResult], kubectl: Callable[..., str], repository: Path
) -> None:
    """The first answer counts: it is not asked again until it passes, and a failure ends before `timeouts.converge`."""
    address = kubectl("get", "service", "api", "-n", "stripe", "-o", "jsonpath={.spec.clusterIP}")
    (repository / "test_payments.py").unlink()
    (repository / "test_added.py").write_text(RULE_WITH_MANIFEST)
    (repository / "added.yaml").write_text(ENTRY.replace("ADDRESS", address))
    done = run_example()
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert "unsteady" not in done.stdout
    assert "HTTP status: expected 404, got 200" in done.stdout
    left = kubectl(
        "get", "serviceentries.networking.istio.io,envoyfilters.networking.istio.io", "-n", "payments", "-o", "name"
    )
    assert "added" not in left
    assert "marker" not in left


@pytest.mark.usefixtures("rules")
def test_missing_workload_is_an_error_with_its_name(run_example: Callable[[], CommandResult], repository: Path) -> None:
    module = repository / "test_payments.py"
    module.write_text(module.read_text().replace("deployment/payments", "deployment/billing"))
    done = run_example()
    assert done.returncode == 1, done.stdout
    errors, _, _ = done.stdout.partition("short test summary info")  # in CI, the summary has whole messages, too
    assert errors.count("error in the test (nothing is known about the mesh): namespace payments has no") == 4
    assert "0 passed" in done.stdout
    assert "FAILED" not in done.stdout, "each parameter has the same error in its setup"
