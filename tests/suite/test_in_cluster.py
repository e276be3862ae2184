"""The Job of docs/in_cluster.yaml tests the cluster that it runs in, with the documented permissions."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, watch

from pytest_istio_egress.cluster.api import Api

pytestmark = [pytest.mark.embedded, pytest.mark.usefixtures("kubeconfig")]  # it creates the service account

PROJECT = Path(__file__).parents[2]
JOB = PROJECT / "docs" / "in_cluster.yaml"
CURL = PROJECT / "fixtures" / "client.yaml"
FROM_THE_NODE = {
    "/usr": Path("/usr"),
    "/opt/python": Path(sys.base_prefix),
    "/opt/packages": Path(sysconfig.get_path("purelib")),
    "/opt/project": PROJECT,
}
"""The contents of a user's image. The embedded cluster has no registry, but its node is this machine."""
ENVIRONMENT = {"PYTHONPATH": "/opt/packages:/opt/project", "LD_LIBRARY_PATH": "/opt/python/lib"}


def as_if_installed(job: dict[str, Any]) -> None:
    """Mount Python, the packages and the project of this machine into the Job's pod."""
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    container["image"] = next(
        each["image"]
        for document in yaml.safe_load_all(CURL.read_text())
        if document["kind"] == "Deployment"
        for each in document["spec"]["template"]["spec"]["containers"]
        if each["name"] == "curl"
    )
    container["command"] = ["/opt/python/bin/python3", "-m", *container["command"]]
    container["env"] += [{"name": name, "value": value} for name, value in ENVIRONMENT.items()]
    for number, (inside, outside) in enumerate(FROM_THE_NODE.items()):
        container["volumeMounts"].append({"name": f"node-{number}", "mountPath": inside, "readOnly": True})
        pod["volumes"].append({"name": f"node-{number}", "hostPath": {"path": str(outside)}})


@pytest.fixture
def run_job(api: Api) -> Iterator[Callable[..., tuple[client.V1JobStatus, str]]]:
    """Run the Job with further arguments for pytest, and return its status and its output."""
    jobs = client.BatchV1Api(api.client)
    job = yaml.safe_load(JOB.read_text())
    namespace = job["metadata"]["namespace"]
    job["metadata"] = {"generateName": job["metadata"]["name"] + "-"}
    created: list[str] = []

    def run(*arguments: str) -> tuple[client.V1JobStatus, str]:
        as_if_installed(job)
        job["spec"]["template"]["spec"]["containers"][0]["command"] += arguments
        name = jobs.create_namespaced_job(namespace, job).metadata.name
        created.append(name)
        events = watch.Watch().stream(
            jobs.list_namespaced_job,
            namespace,
            field_selector=f"metadata.name={name}",
            timeout_seconds=300,
            _request_timeout=330,  # longer than the watch: there is no event while the Job's tests run
        )
        for event in events:
            status = event["object"].status
            if status.succeeded or status.failed:
                break
        [pod] = api.core.list_namespaced_pod(namespace, label_selector=f"job-name={name}").items
        return status, api.core.read_namespaced_pod_log(pod.metadata.name, namespace)

    yield run
    for name in created:
        before = jobs.list_namespaced_job(namespace).metadata.resource_version
        jobs.delete_namespaced_job(name, namespace, propagation_policy="Foreground")
        events = watch.Watch().stream(
            jobs.list_namespaced_job,
            namespace,
            field_selector=f"metadata.name={name}",
            resource_version=before,
            timeout_seconds=60,
        )
        assert any(event["type"] == "DELETED" for event in events), "the next test needs the same state"


def test_job_tests_the_cluster_that_it_runs_in(run_job: Callable[..., tuple[client.V1JobStatus, str]]) -> None:
    status, output = run_job("conformance/outbound_policy/test_registry_only.py")
    assert status.succeeded == 1, output
    assert "context in-cluster" in output
    assert " 4 passed" in output


def test_failed_run_fails_the_job(run_job: Callable[..., tuple[client.V1JobStatus, str]]) -> None:
    status, output = run_job("--istio-egress-gateway", "missing/nowhere", "conformance/egress_gateway")
    assert status.failed == 1, output
    assert "nowhere" in output
