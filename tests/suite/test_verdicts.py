"""The suite on a real mesh: it passes on a correct mesh, and fails with the right cause on a broken one."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client
from snapshot import snapshot
from suite_run import RunSuite, environment  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import RUN_LABEL
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.embedded import EmbeddedCluster
from pytest_istio_egress.model.case import ISTIOS_OWN_ENVOY
from pytest_istio_egress.suite.discovery import shipped_cases, suite_folder

pytestmark = pytest.mark.embedded


def test_all_tests_pass_repeatedly_and_nothing_is_left(run_suite: RunSuite, api: Api) -> None:
    before = snapshot(api)
    # All tests, including mesh-wide ones, and then some of them again, without workers.
    for arguments in (
        ("-n", "3", "--istio-egress-allow-mesh-wide"),
        ("conformance/timeouts", "conformance/outbound_policy"),
    ):
        run = run_suite(*arguments)
        assert run.exit == 0, run.output
        assert run.ids("passed")
        assert {name.partition("[")[0] for name in run.ids("skipped")} <= ids_of_tests_that_cannot_run()
        assert snapshot(api) == before


def ids_of_tests_that_cannot_run() -> set[str]:
    """Return JUnit's names of the tests that need Istio's build of Envoy, both IP families, or an ambient mesh."""
    return {
        shipped.id.replace(".py::", "::").replace("/", ".")
        for shipped in shipped_cases(suite_folder())
        if shipped.case and (ISTIOS_OWN_ENVOY | {"dual-stack", "ambient"}) & set(shipped.case.requires)
    }


def copy_of_the_suite(into: Path, area: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """Copy the tests of one area with every manifest changed."""
    copy = into / area
    shutil.copytree(suite_folder() / area, copy)
    for file in copy.glob("*.yaml"):
        documents = [document for document in yaml.safe_load_all(file.read_text()) if document]
        for document in documents:
            change(document)
        file.write_text(yaml.safe_dump_all(documents))
    return copy


def allow_any(document: dict[str, Any]) -> None:
    if document["kind"] == "Sidecar":
        document["spec"]["outboundTrafficPolicy"] = {"mode": "ALLOW_ANY"}


def test_sidecar_with_allow_any_fails_the_tests_of_a_block(run_suite: RunSuite, tmp_path: Path) -> None:
    copy = copy_of_the_suite(tmp_path, "outbound_policy", allow_any)
    run = run_suite(copy / "test_registry_only.py", "--istio-egress-report", "report.yaml")
    assert run.exit == 1, run.output
    assert {name.partition("[")[2] for name in run.ids("failure")} == {
        "http-host-unlisted]", "http-port-unlisted]", "tls-unlisted]",
    }  # fmt: skip
    assert {name.partition("[")[2] for name in run.ids("passed")} == {"control-listed]"}
    assert "test error (cluster problem" not in run.output, run.output
    for explanation in run.output.split("documented:")[1:]:
        assert "PassthroughCluster" in explanation
    check_evidence(tmp_path, yaml.safe_load((tmp_path / "report.yaml").read_text()))


def check_evidence(beside: Path, report: dict[str, Any]) -> None:
    """Each failed case has its folder, with the evidence of every hop about that same request."""
    cases = [each for test in report["tests"] for each in test["parameters"] if each["result"] != "passed"]
    assert cases
    for case in cases:
        files = {path.name: path.read_text() for path in (beside / case["evidence"]).iterdir()}
        assert set(files) == {
            "probe.json", "client-sidecar.log", "client-sidecar-config.json", "outside.log", "applied.yaml",
            "mesh.yaml", "pods.yaml", "events.txt",
        }, files.get("not-collected.txt")  # fmt: skip
        [line] = json.loads(files["probe.json"])["access logs"].values()
        assert line in files["client-sidecar.log"]
        agent = case["probe"].partition("--user-agent ")[2].split()[0]
        assert agent in files["outside.log"], "the external server was reached and logged it"
        config = json.loads(files["client-sidecar-config.json"])
        assert "PassthroughCluster" in {cluster["name"] for cluster in config["clusters"]}
        assert config["listeners"]
        assert config["routes"]
        policies = [
            document["spec"].get("outboundTrafficPolicy") for document in yaml.safe_load_all(files["applied.yaml"])
        ]
        assert {"mode": "ALLOW_ANY"} in policies
        assert "phase: Running" in files["pods.yaml"]
        assert "Scheduled" in files["events.txt"]


@pytest.fixture
def replace_in_mesh_config(api: Api) -> Iterator[Callable[[str, str], None]]:
    """Replaces text in the mesh configuration, which is restored after the test."""
    original = api.core.read_namespaced_config_map("istio", "istio-system").data["mesh"]

    def write(mesh: str) -> None:
        api.core.patch_namespaced_config_map("istio", "istio-system", {"data": {"mesh": mesh}})

    yield lambda old, new: write(original.replace(old, new))
    write(original)


def test_mesh_that_changes_to_allow_any_during_the_run_fails_tests(
    suite_command: list[str], replace_in_mesh_config: Callable[[str, str], None], tmp_path: Path
) -> None:
    command = [*suite_command, "-p", "no:cacheprovider", "conformance/outbound_policy/test_mesh_registry_only.py"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment()) as running:
        assert running.stdout
        output = ""
        for line in running.stdout:
            output += line
            if "REGISTRY_ONLY" in line and "istio-egress" in line:
                replace_in_mesh_config("REGISTRY_ONLY", "ALLOW_ANY")
    assert running.returncode == 1, output
    blocked = [text for text in output.split("documented:")[1:] if "unlisted" in text]
    assert len(blocked) >= 3, output  # CI prints each explanation twice
    assert all("PassthroughCluster" in explanation for explanation in blocked)


def test_stopped_istiod_is_an_error_and_not_a_failed_test(run_suite: RunSuite, api: Api) -> None:
    apps = client.AppsV1Api(api.client)

    def scale(replicas: int) -> None:
        apps.patch_namespaced_deployment_scale("istiod", "istio-system", {"spec": {"replicas": replicas}})
        istiod = ("istiod", "istio-system")
        assert poll(
            lambda: (apps.read_namespaced_deployment(*istiod).status.ready_replicas or 0) == replicas,
            every=0.2,
            timeout=180,
        )

    scale(0)
    try:
        run = run_suite()
    finally:
        scale(1)
    assert run.exit not in (0, 1, 5), run.output
    assert "istiod" in run.output
    assert not api.core.list_namespace(label_selector=RUN_LABEL).items


def test_unreachable_cluster_is_an_error(embedded: EmbeddedCluster, suite_command: list[str], tmp_path: Path) -> None:
    kubeconfig = yaml.safe_load(embedded.kubeconfig.read_text())
    kubeconfig["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    elsewhere = tmp_path / "kubeconfig"
    elsewhere.write_text(yaml.safe_dump(kubeconfig))
    command = [*suite_command[:-1], str(elsewhere)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode not in (0, 1, 5)
    assert "127.0.0.1" in done.stdout + done.stderr
