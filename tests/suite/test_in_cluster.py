"""A pod without a kubeconfig asks its own cluster: here a process that finds what a pod finds in its file system."""

from __future__ import annotations

import base64
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from kubernetes import client
from suite_run import environment  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.embedded import EmbeddedCluster

pytestmark = pytest.mark.embedded

NAME = "in-cluster"
AS_IN_A_POD = """
mount -t tmpfs tmpfs /run
mkdir -p /run/secrets/kubernetes.io/serviceaccount
cp {folder}/token {folder}/ca.crt /run/secrets/kubernetes.io/serviceaccount/
exec {command}
"""
"""Run in a mount namespace of its own; /var/run is /run."""


@pytest.fixture
def token(api: Api) -> Iterator[str]:
    """Make a service account that may do everything, and return its token."""
    rights = client.RbacAuthorizationV1Api(api.client)
    metadata = client.V1ObjectMeta(name=NAME)
    api.core.create_namespaced_service_account("default", client.V1ServiceAccount(metadata=metadata))
    rights.create_cluster_role_binding(
        client.V1ClusterRoleBinding(
            metadata=metadata,
            role_ref=client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="ClusterRole", name="cluster-admin"),
            subjects=[client.RbacV1Subject(kind="ServiceAccount", name=NAME, namespace="default")],
        )
    )
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[]))
    yield api.core.create_namespaced_service_account_token(NAME, "default", request).status.token
    rights.delete_cluster_role_binding(NAME)
    api.core.delete_namespaced_service_account(NAME, "default")


def test_a_pod_asks_its_own_cluster(
    embedded: EmbeddedCluster, suite_command: list[str], token: str, tmp_path: Path
) -> None:
    cluster = yaml.safe_load(embedded.kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = cluster.get("certificate-authority-data")
    (tmp_path / "ca.crt").write_bytes(
        base64.b64decode(authority) if authority else Path(cluster["certificate-authority"]).read_bytes()
    )
    (tmp_path / "token").write_text(token)
    server = urlsplit(cluster["server"])
    given = suite_command[: suite_command.index("--istio-egress-kubeconfig")]
    command = [*given, "-p", "no:cacheprovider", "conformance/registry_only/test_without_sidecar.py"]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", AS_IN_A_POD.format(folder=tmp_path, command=shlex.join(command))],
        cwd=tmp_path,
        env={
            **{name: value for name, value in environment().items() if name != "KUBECONFIG"},
            "HOME": str(tmp_path),
            "KUBERNETES_SERVICE_HOST": str(server.hostname),
            "KUBERNETES_SERVICE_PORT": str(server.port),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "context in-cluster" in done.stdout
