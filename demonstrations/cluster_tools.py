"""Runs kubectl and istioctl of an embedded cluster, as its user would."""

from __future__ import annotations

import os
import subprocess

from pytest_istio_egress.embedded import EmbeddedCluster


def run(cluster: EmbeddedCluster, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one of the cluster's programs, and return what came of it."""
    environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}
    words = [str(cluster.binaries / command[0]), *command[1:]]
    return subprocess.run(words, input=stdin, env=environment, capture_output=True, text=True, check=False)


def output(cluster: EmbeddedCluster, *command: str, stdin: str | None = None) -> str:
    """Run one of the cluster's programs and return its output; exit with its message where it fails."""
    done = run(cluster, *command, stdin=stdin)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def kubectl(cluster: EmbeddedCluster, *arguments: str, stdin: str | None = None) -> str:
    """Run the cluster's kubectl and return its output; exit with its message where it fails."""
    return output(cluster, "kubectl", *arguments, stdin=stdin)
