"""A real cluster for the tests that need one; it ends with this process, however that ends."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, down, up

from .module_proxy import FolderProxy

CURL = "docker.io/curlimages/curl:8.11.1"
HTTPBIN = "docker.io/mccutchen/go-httpbin:2.26.0"


class Kubectl:
    """Runs the cluster's own kubectl, as a user on this machine would."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self.cluster = cluster

    def command(self, *arguments: str, program: str = "kubectl") -> list[str]:
        return [str(self.cluster.binaries / program), f"--kubeconfig={self.cluster.kubeconfig}", *arguments]

    def __call__(self, *arguments: str, given: object = None, program: str = "kubectl") -> str:
        done = self.run(*arguments, given=given, program=program)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def run(self, *arguments: str, given: object = None, program: str = "kubectl") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments, program=program),
            input=json.dumps(given) if given is not None else "",
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def apply(self, *objects: dict[str, Any]) -> None:
        self("apply", "-f", "-", given={"apiVersion": "v1", "kind": "List", "items": list(objects)})

    def ready(self, namespace: str, *pods: str) -> None:
        self("-n", namespace, "wait", "--for=condition=Ready", "--timeout=60s", *(f"pod/{pod}" for pod in pods))

    def address(self, namespace: str, pod: str) -> str:
        return self("-n", namespace, "get", "pod", pod, "-o", "jsonpath={.status.podIP}")


def pod(namespace: str, name: str, image: str = CURL, **more: object) -> dict[str, Any]:
    """A pod as the restricted Pod Security level wants it."""
    container: dict[str, Any] = {
        "name": name,
        "image": image,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    if image == CURL:
        container["command"] = ["sleep", "infinity"]
    else:
        container["ports"] = [{"name": "http", "containerPort": 8080}]
        container["readinessProbe"] = {"httpGet": {"path": "/status/200", "port": 8080}, "periodSeconds": 1}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "containers": [container],
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            **more,
        },
    }


@pytest.fixture(scope="session")
def cluster() -> Iterator[EmbeddedCluster]:
    if os.geteuid() != 0:
        pytest.skip("the embedded cluster needs root")
    name = f"tests-{uuid.uuid4().hex[:6]}"
    yield up(ClusterSpec(name=name), install_packages=True, tied_to_caller=True)
    down(name)


@pytest.fixture(scope="session")
def kubectl(cluster: EmbeddedCluster) -> Kubectl:
    return Kubectl(cluster)


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace at the restricted level; its removal is not waited for."""
    name = f"n-{uuid.uuid4().hex[:6]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "team": name}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cache and state of this test alone."""
    monkeypatch.setenv("ISTIO_EGRESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ISTIO_EGRESS_STATE", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def folder_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderProxy:
    """A folder as the only module proxy of this test, and a separate module cache."""
    monkeypatch.setenv("GOPROXY", f"file://{tmp_path}/proxy")
    monkeypatch.setenv("GOSUMDB", "off")
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    monkeypatch.setenv("GOFLAGS", "-modcacherw")
    return FolderProxy(tmp_path / "proxy")
