"""A kubeconfig of the service account of docs/rights.yaml, which has the rights that it was granted and no others."""

from __future__ import annotations

from pathlib import Path

import yaml

from demonstrations.cluster_tools import kubectl
from pytest_istio_egress.embedded import EmbeddedCluster

RIGHTS = Path(__file__).parents[1] / "docs" / "rights.yaml"
ACCOUNT, NAMESPACE = "istio-egress", "istio-egress"


def with_documented_rights(cluster: EmbeddedCluster, folder: Path) -> Path:
    """Grant the documented rights to the service account, and write a kubeconfig with a token of it to a folder."""
    kubectl(cluster, "apply", "-f", str(RIGHTS))
    return with_token(cluster, folder)


def with_token(cluster: EmbeddedCluster, folder: Path) -> Path:
    """Write a kubeconfig with a token of the service account, which exists, to a folder."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    token = kubectl(cluster, "create", "token", ACCOUNT, "--namespace", NAMESPACE, "--duration=2h").strip()
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    written = folder / "kubeconfig"
    written.write_text(yaml.safe_dump(config))
    written.chmod(0o600)
    return written
