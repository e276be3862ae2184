"""A canary upgrade from Istio 1.30 to 1.31, as Istio documents it, with steady traffic, and the suite as its gate.

Source: https://istio.io/latest/docs/setup/upgrade/canary/
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from demonstrations.cluster_tools import kubectl, output
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.embedded import EmbeddedCluster, status
from pytest_istio_egress.embedded.istio_manifest import istio_settings
from pytest_istio_egress.embedded.state import State

NAME = "canary"
FROM, TO, REVISION = "1.30", "1.31", "1-31"
TRAFFIC = "canary"
NAMESPACE = "istio-system"
PATIENCE = "--timeout=180s"
VALUES = "jsonpath={.data.values}"
SUITES = ("before", "canary", "after")
"""The reports of the suite: on the old release, with clients of the new revision, and without the old release."""

DESCRIPTION = f"""\
From Istio {FROM} to {TO} as Istio documents a [canary upgrade](https://istio.io/latest/docs/setup/upgrade/canary/): a
second revision is installed, namespaces move to it, then the egress gateway, and the old revision is removed.
`istio-egress traffic` sends traffic of every kind meanwhile. The suite runs on {FROM}, then with clients of {TO} and
the gateway of {FROM}, and at the end on {TO} alone."""

EXPLANATION = f"""\
What changed, and why: Envoy 1.38 alone logs the flag UR for a tunnel over HTTP/2 that ends, as the section *envoy*
shows; the requests get 200 with each Envoy. The mesh-wide mode ALLOW_ANY_DYNAMIC_DNS came with Istio {TO}, so its test
is skipped before."""


@dataclass(frozen=True)
class Step:
    """One step of the upgrade. `description` is for the page."""

    name: str
    description: str
    do: Callable[[], None]


def perform(reports: Path, more: list[str], suite: Callable[[list[str], Path], None], *, up: list[str]) -> None:
    """Perform the upgrade; write the reports of the suite and of the traffic's losses in each step."""
    reports.mkdir(parents=True, exist_ok=True)
    own("cluster", "up", "--name", NAME, "--istio", FROM, *up)
    try:
        run_suite(reports / "before.yaml", [], more, suite)
        own("traffic", "start", "--name", TRAFFIC, *kubeconfig())
        for number, step in enumerate(STEPS):
            since = now()
            step.do()
            losses = ["--markdown", str(reports / f"traffic-{number}.md"), "--allow-lost", "1000000", "--since", since]
            own("traffic", "report", "--name", TRAFFIC, *losses, *kubeconfig())
            if step.name == "namespaces":
                run_suite(reports / "canary.yaml", ["--istio-egress-revision", REVISION], more, suite)
        own("traffic", "stop", "--name", TRAFFIC, *kubeconfig())
        run_suite(reports / "after.yaml", [], more, suite)
    finally:
        own("cluster", "down", "--name", NAME)


def run_suite(report: Path, options: list[str], more: list[str], suite: Callable[[list[str], Path], None]) -> None:
    """Run the whole suite and write its report."""
    suite(["--istio-egress", f"--istio-egress-kubeconfig={State(NAME).kubeconfig}", *options, *more], report)


def add_revision() -> None:
    """Install the new control plane beside the old one."""
    own("cluster", "upgrade", "--name", NAME, "--istio", TO, "--revision", REVISION)


def move_namespaces() -> None:
    """Let the namespace of the traffic's clients get its sidecars from the new revision, and restart its pods."""
    namespace = Names(TRAFFIC, "traffic").namespace("egress-client")
    kubectl(cluster(), "label", "namespace", namespace, "istio-injection-", f"istio.io/rev={REVISION}", "--overwrite")
    kubectl(cluster(), "rollout", "restart", "-n", namespace, "deployment")
    for name in kubectl(cluster(), "get", "deployments", "-n", namespace, "-o", "name").split():
        kubectl(cluster(), "rollout", "status", "-n", namespace, name, PATIENCE)


def move_gateway() -> None:
    """Apply the egress gateway as the new release's istioctl renders it for the new revision."""
    values = json.loads(
        kubectl(
            cluster(), "get", "configmap", "-n", NAMESPACE, f"istio-sidecar-injector-{REVISION}", f"--output={VALUES}"
        )
    )
    image = values["global"]["proxy"]["image"]
    settings = [*istio_settings("REGISTRY_ONLY", values["global"]["tag"], None, image), f"revision={REVISION}"]
    words = [word for setting in settings for word in ("--set", setting)]
    manifest = output(cluster(), "istioctl", "manifest", "generate", *words)
    gateway = [
        found
        for found in yaml.safe_load_all(manifest)
        if found and found["metadata"]["name"].startswith("istio-egressgateway")
    ]
    kubectl(cluster(), "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(gateway))
    kubectl(cluster(), "rollout", "status", "-n", NAMESPACE, "deployment/istio-egressgateway", PATIENCE)


def move_default() -> None:
    """Let the default tag name the new revision, so that istio-injection=enabled means it."""
    output(cluster(), "istioctl", "tag", "set", "default", "--revision", REVISION, "--overwrite")


def remove_old() -> None:
    """Delete the objects of the old control plane, as `istioctl uninstall` does for what `istioctl install` made."""
    selector = "--selector=istio.io/rev=default,operator.istio.io/component=Pilot"
    kubectl(cluster(), "delete", "deployment,service,configmap", "-n", NAMESPACE, selector)
    kubectl(cluster(), "delete", "mutatingwebhookconfiguration", selector)
    kubectl(cluster(), "delete", "validatingwebhookconfiguration", f"istio-validator-{NAMESPACE}")


STEPS = (
    Step(
        "revision",
        f"`istio-egress cluster upgrade --istio {TO} --revision {REVISION}`: a second istiod.",
        add_revision,
    ),
    Step(
        "namespaces",
        f"The namespace of the clients gets the label `istio.io/rev={REVISION}` and its Deployments are restarted.",
        move_namespaces,
    ),
    Step("gateway", "The egress gateway of the new release is applied and rolls out, one replica.", move_gateway),
    Step("default", f"`istioctl tag set default --revision {REVISION} --overwrite`.", move_default),
    Step("old revision", "The old istiod is deleted with its Service, configuration and webhooks.", remove_old),
)


def section(reports: Path) -> list[str]:
    """Return the lines of the page on the steps and the traffic that each lost; none where reports are missing."""
    files = [reports / f"traffic-{number}.md" for number in range(len(STEPS))]
    if not all(file.is_file() for file in files):
        return []
    lines = ["### Traffic that each step lost", ""]
    for step, file in zip(STEPS, files, strict=True):
        lines += [f"**{step.name}**: {step.description}", "", file.read_text(encoding="utf-8").strip(), ""]
    return lines


def now() -> str:
    """Return the time as RFC 3339."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def kubeconfig() -> list[str]:
    """Return the option that names the cluster's kubeconfig."""
    return ["--kubeconfig", str(State(NAME).kubeconfig)]


def cluster() -> EmbeddedCluster:
    """Return the cluster that is upgraded, which has to run."""
    running = status(NAME).cluster
    if running is None:
        raise SystemExit(f"cluster {NAME} does not run")
    return running


def own(*arguments: str) -> None:
    """Run a command of this package that must succeed."""
    subprocess.run([sys.executable, "-m", "pytest_istio_egress.cli", *arguments], check=True)
