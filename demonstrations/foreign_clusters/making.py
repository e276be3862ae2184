"""Changes an embedded cluster into one of clusters.yaml with kubectl and istioctl, as its owner might have done."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from demonstrations.cluster_tools import kubectl, output, run
from pytest_istio_egress.embedded import EmbeddedCluster
from pytest_istio_egress.embedded.istio_manifest import istio_settings

ROOT = Path(__file__).parents[2]

Foreign = dict[str, Any]


def make(foreign: Foreign, cluster: EmbeddedCluster) -> None:
    """Change an embedded cluster into the described one, and wait until everything is ready."""
    namespace = foreign.get("namespace", "istio-system")
    for gone in foreign.get("gone", ()):
        kubectl(cluster, "delete", "-n", "istio-system", gone)
    if foreign.get("istio"):
        if not foreign.get("beside"):
            for kind in ("mutatingwebhookconfiguration", "validatingwebhookconfiguration"):
                kubectl(cluster, "delete", kind, "--all")
            kubectl(cluster, "delete", "namespace", "istio-system")
        if namespace != "istio-system" or not foreign.get("beside"):
            kubectl(cluster, "create", "namespace", namespace)
        install(foreign, cluster)
    if foreign.get("mesh"):
        change_mesh_config(cluster, namespace, foreign["mesh"])
    node = foreign.get("node", {})
    if node:
        kubectl(cluster, "label", "node", "--all", node["label"])
    wait(cluster)
    if "file" in foreign:
        apply(cluster, (ROOT / foreign["file"]).read_text())
    if "apply" in foreign:
        apply(cluster, foreign["apply"])
        wait(cluster)
    if "prepared" in foreign:
        words = [sys.executable, "-m", "pytest_istio_egress.cli", "namespaces", foreign["prepared"], "--workers", "2"]
        words += ["--kubeconfig", str(cluster.kubeconfig)]
        apply(cluster, subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    for command in foreign.get("kubectl", ()):
        kubectl(cluster, *map(str, command))
    if node:
        kubectl(cluster, "taint", "node", "--all", node["taint"])


def install(foreign: Foreign, cluster: EmbeddedCluster) -> None:
    """Install Istio with the manifest that istioctl generates."""
    settings = [*istio_settings("REGISTRY_ONLY", cluster.istio), *foreign["istio"]]
    words = [word for setting in settings for word in ("--set", setting)]
    manifest = output(cluster, "istioctl", "manifest", "generate", *words)
    documents = [document for document in yaml.safe_load_all(manifest) if document]
    # The CRDs of the embedded cluster stay: the API server needs some time to serve new ones.
    apply(cluster, yaml.safe_dump_all(each for each in documents if each["kind"] != "CustomResourceDefinition"))


def change_mesh_config(cluster: EmbeddedCluster, namespace: str, changes: dict[str, Any]) -> None:
    """Change fields of the mesh configuration in its ConfigMap (null removes one)."""
    text = kubectl(cluster, "get", "configmap", "istio", "-n", namespace, "-o", "jsonpath={.data.mesh}")
    changed = {name: value for name, value in {**yaml.safe_load(text), **changes}.items() if value is not None}
    patch = yaml.safe_dump({"data": {"mesh": yaml.safe_dump(changed)}})
    kubectl(cluster, "patch", "configmap", "istio", "-n", namespace, "--type=merge", "-p", patch)


def apply(cluster: EmbeddedCluster, manifest: str) -> None:
    """Apply manifests; retry for five minutes, because a webhook may not be up yet."""
    deadline = time.monotonic() + 300
    while True:
        done = run(cluster, "kubectl", "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"kubectl apply: {done.stderr}")


def wait(cluster: EmbeddedCluster) -> None:
    """Wait until all Deployments of the cluster are rolled out."""
    for line in kubectl(cluster, "get", "deploy", "-A", "--no-headers").splitlines():
        namespace, name = line.split()[:2]
        kubectl(cluster, "rollout", "status", "-n", namespace, f"deploy/{name}", "--timeout=600s")
