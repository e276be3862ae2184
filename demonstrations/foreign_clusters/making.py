"""Changes a stock cluster into one that clusters.yaml describes, by kubectl and istioctl as its owner might have."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from pytest_istio_egress.embedded import EmbeddedCluster
from pytest_istio_egress.embedded.istio_manifest import istio_settings

ROOT = Path(__file__).parents[2]

Foreign = dict[str, Any]


def make(foreign: Foreign, cluster: EmbeddedCluster) -> None:
    """Change a stock cluster into the foreign one, and wait until all that is there is ready."""
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
    node = foreign.get("node", {})
    if node:
        kubectl(cluster, "label", "node", "--all", node["label"])
    wait(cluster)
    if "file" in foreign:
        apply(cluster, (ROOT / foreign["file"]).read_text())
    if "apply" in foreign:
        apply(cluster, foreign["apply"])
        wait(cluster)
    if node:
        kubectl(cluster, "taint", "node", "--all", node["taint"])


def install(foreign: Foreign, cluster: EmbeddedCluster) -> None:
    """Install Istio with istioctl's own manifest."""
    settings = [*istio_settings("REGISTRY_ONLY", cluster.istio), *foreign["istio"]]
    words = [word for setting in settings for word in ("--set", setting)]
    manifest = run(cluster, "istioctl", "manifest", "generate", *words).stdout
    objects = [found for found in yaml.safe_load_all(manifest) if found]
    # Definitions first, and those that are there stay: an API server needs a while for new ones.
    apply(cluster, yaml.safe_dump_all(found for found in objects if found["kind"] != "CustomResourceDefinition"))


def apply(cluster: EmbeddedCluster, manifest: str) -> None:
    """Apply manifests; webhooks that have yet to come up are asked again."""
    deadline = time.monotonic() + 300
    while True:
        done = run(
            cluster, "kubectl", "apply", "--server-side", "--force-conflicts", "-f", "-", given=manifest, may=True
        )
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"kubectl apply: {done.stderr}")


def wait(cluster: EmbeddedCluster) -> None:
    """Wait until every Deployment of the cluster is rolled out."""
    for line in kubectl(cluster, "get", "deploy", "-A", "--no-headers").splitlines():
        namespace, name = line.split()[:2]
        kubectl(cluster, "rollout", "status", "-n", namespace, f"deploy/{name}", "--timeout=600s")


def kubectl(cluster: EmbeddedCluster, *words: str) -> str:
    """Run the cluster's kubectl; ends the program where it fails."""
    return run(cluster, "kubectl", *words).stdout


def run(
    cluster: EmbeddedCluster, *command: str, given: str | None = None, may: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a tool of the cluster's own; `may` fail."""
    tool = str(cluster.binaries / command[0])
    environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}
    words = [tool, *command[1:]]
    done = subprocess.run(words, input=given, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and not may:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return done
