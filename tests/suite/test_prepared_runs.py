"""A user who may not create namespaces runs the suite in prepared ones, one run at a time, and leaves them empty."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client
from service_account import token_kubeconfig  # type: ignore[import-not-found]  # pytest puts this folder on the path
from suite_run import RunSuite, environment  # type: ignore[import-not-found]  # as above

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.cluster.prepared_namespaces import Contents, all_namespaces
from pytest_istio_egress.embedded import EmbeddedCluster

pytestmark = pytest.mark.embedded

NAME = "team-a"
TENANT = "tenant"
PREPARED = all_namespaces(NAME, 2)


@pytest.fixture(scope="module")
def kubeconfig(embedded: EmbeddedCluster, api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a tenant's service account with the required permissions of prepared namespaces only."""
    folder = tmp_path_factory.mktemp("prepared")
    tenant = client.V1Namespace(metadata=client.V1ObjectMeta(name=TENANT))
    api.core.create_namespace(tenant)
    manifest = folder / "prepared.yaml"
    manifest.write_text(yaml.safe_dump_all(for_tenant(printed(embedded))))
    kubectl = [str(embedded.binaries / "kubectl"), "--kubeconfig", str(embedded.kubeconfig)]
    subprocess.run([*kubectl, "apply", "-f", str(manifest)], check=True)
    written: Path = token_kubeconfig(api, embedded.kubeconfig, folder, TENANT, "default")
    yield written
    subprocess.run([*kubectl, "delete", "--ignore-not-found", "-f", str(manifest)], check=True)
    subprocess.run([*kubectl, "delete", "namespace", TENANT], check=True)


def printed(embedded: EmbeddedCluster) -> Iterator[dict[str, Any]]:
    """Yield the objects that the command prints."""
    command = [sys.executable, "-m", "pytest_istio_egress.cli", "namespaces", NAME, "--workers", "2"]
    command += ["--kubeconfig", str(embedded.kubeconfig)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    yield from yaml.safe_load_all(done.stdout)


def for_tenant(documents: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield namespaces and required roles under other names, bound to the tenant's service account."""
    for document in documents:
        name = document["metadata"]["name"]
        if document["kind"] == "Namespace" and name in PREPARED:
            yield document
        elif document["apiVersion"].startswith("rbac") and "diagnosis" not in name:
            document["metadata"]["name"] = f"{TENANT}-{name}"
            if "roleRef" in document:
                document["roleRef"]["name"] = f"{TENANT}-{document['roleRef']['name']}"
                document["subjects"] = [{"kind": "ServiceAccount", "name": "default", "namespace": TENANT}]
            yield document


@pytest.fixture
def suite_command(suite_command: list[str]) -> list[str]:
    return [
        *suite_command,
        "--istio-egress-prepared",
        NAME,
        "--istio-egress-gateway",
        "istio-system/istio-egressgateway",
    ]


def left(api: Api) -> int:
    """Return the number of objects of runs in the prepared namespaces; pods belong to no run, but to a Deployment."""
    pods = [pod for namespace in PREPARED for pod in api.core.list_namespaced_pod(namespace).items]
    return len(Contents(api, PREPARED).objects()) + len(pods)


def test_run_creates_no_namespace_and_leaves_the_prepared_ones_empty(
    run_suite: RunSuite, api: Api, created_namespaces: Callable[[], set[str]]
) -> None:
    for _ in range(2):
        run = run_suite(
            "-n", "2", "conformance/egress_gateway/test_two_hops.py", "conformance/tls_origination/test_simple.py",
            "conformance/timeouts",
        )  # fmt: skip
        assert run.exit == 0, run.output
        assert not run.ids("skipped"), run.output
        assert left(api) == 0
    assert not created_namespaces()


def test_one_run_at_a_time_and_the_next_cleans_up_after_a_killed_one(
    suite_command: list[str], run_suite: RunSuite, api: Api, tmp_path: Path
) -> None:
    output = tmp_path / "output.txt"
    with (
        output.open("w") as file,
        # The whole suite: it does not end before it is killed.
        subprocess.Popen(
            [*suite_command, "-p", "no:cacheprovider"], cwd=tmp_path, stdout=file, env=environment()
        ) as running,
    ):
        assert poll(lambda: left(api), every=0.5, timeout=120), output.read_text()
        second = run_suite("conformance/timeouts")
        assert second.exit == 3, second.output
        assert f"is using the namespaces prepared as {NAME}" in second.output
        running.send_signal(signal.SIGKILL)
    assert left(api)
    after = run_suite("conformance/timeouts")
    assert after.exit == 0, after.output
    assert "in the prepared namespaces, which a killed run had left" in after.output
    assert left(api) == 0


def test_more_workers_than_prepared_are_refused(run_suite: RunSuite) -> None:
    run = run_suite("-n", "3", "conformance/timeouts")
    assert run.exit == 3, run.output
    assert "are prepared for 2: use -n 2" in run.output
