"""Performs the steps of an upgrade on an embedded mesh, and reports what steady egress traffic lost.

    python demonstrations/traffic/traffic.py [ROUNDS]
    python demonstrations/traffic/traffic.py [ROUNDS] --ambient ZTUNNEL

Writes docs/traffic.md, or docs/ambient_traffic.md of an ambient mesh with this ztunnel, and its progress to standard
error. Every step is performed once, or ROUNDS times.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from losses_page import Upgrade, cell, page
from steps import AMBIENT_STEPS, NEXT, SIDECAR_STEPS, Step, pass_time

from demonstrations.cluster_tools import kubectl, output
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, down, up
from pytest_istio_egress.embedded.istio_manifest import istio_settings
from pytest_istio_egress.model.case import AMBIENT_PLANE, SIDECAR_PLANE
from pytest_istio_egress.suite.discovery import fixtures_folder
from pytest_istio_egress.traffic.kinds import AMBIENT_CLIENT, KINDS
from pytest_istio_egress.traffic.losses import Loss, losses, silent_clients
from pytest_istio_egress.traffic.workloads import Traffic

CLUSTER = os.environ.get("TRAFFIC_CLUSTER", "traffic-steps")
DOCS = Path(__file__).parents[2] / "docs"
AFTERWARDS = 10.0
"""Seconds after a step that still belong to it: a proxy drains before it ends."""


def upgrade_of(data_plane: str, rounds: int) -> Upgrade:
    """Return the upgrade of a data plane."""
    if data_plane == AMBIENT_PLANE:
        kinds = tuple(kind for kind in KINDS if kind.client is AMBIENT_CLIENT)
        title = "Egress traffic lost during an upgrade of an ambient mesh"
        return Upgrade(title, f"{rounds} --ambient ZTUNNEL", kinds, AMBIENT_STEPS)
    kinds = tuple(kind for kind in KINDS if kind.client is not AMBIENT_CLIENT)
    return Upgrade("Egress traffic lost during an upgrade", str(rounds), kinds, SIDECAR_STEPS)


def perform(step: Step, cluster: EmbeddedCluster, traffic: Traffic) -> list[Loss]:
    """Perform a step and return what was lost in its time."""
    begin = traffic.record().ends
    step.do(cluster, traffic)
    pass_time(traffic, AFTERWARDS)
    record = traffic.record()
    if silent := silent_clients(record):
        raise SystemExit(
            f"{step.name}: no data from {', '.join(client.pod for client in silent)}, so there is no result"
        )
    return losses(record, begin)


def second_control_plane(cluster: EmbeddedCluster) -> None:
    """Install the revision that the clients move to; its version of Istio is the same."""
    settings = [word for word in istio_settings("REGISTRY_ONLY", cluster.istio) if "gateway" not in word.lower()]
    arguments = [part for word in (*settings, f"revision={NEXT}") for part in ("--set", word)]
    manifest = output(cluster, "istioctl", "manifest", "generate", *arguments)
    kubectl(cluster, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
    kubectl(cluster, "rollout", "status", "-n", "istio-system", f"deployment/istiod-{NEXT}", "--timeout=180s")


def perform_rounds(cluster: EmbeddedCluster, data_plane: str, rounds: int) -> list[dict[str, list[Loss]]]:
    """Perform every step in every round, each round with traffic of its own; return the losses by step."""
    if data_plane == SIDECAR_PLANE:
        second_control_plane(cluster)
    results = []
    for number in range(rounds):
        traffic = Traffic(Api(cluster.kubeconfig, None), f"steps-{number}", fixtures_folder() / "traffic", timeout=300)
        traffic.start(say, data_plane=data_plane)
        done = {}
        for step in upgrade_of(data_plane, rounds).steps:
            done[step.name] = perform(step, cluster, traffic)
            say(f"{number} {step.name}: " + ", ".join(f"{one.kind.name} {cell([one])}" for one in done[step.name]))
        results.append(done)
        traffic.stop(say)
    return results


def main() -> None:
    """Start the mesh and the traffic, perform the steps, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", nargs="?", type=int, default=1, metavar="ROUNDS")
    parser.add_argument("--ambient", type=Path, metavar="ZTUNNEL", help="an ambient mesh with this ztunnel")
    arguments = parser.parse_args()
    ambient = arguments.ambient is not None
    data_plane = AMBIENT_PLANE if ambient else SIDECAR_PLANE
    cluster = up(ClusterSpec(name=CLUSTER, ambient=ambient, ztunnel=arguments.ambient), tied_to_caller=True)
    try:
        results = perform_rounds(cluster, data_plane, arguments.rounds)
    finally:
        down(CLUSTER)
    file = DOCS / ("ambient_traffic.md" if ambient else "traffic.md")
    file.write_text(page(upgrade_of(data_plane, arguments.rounds), cluster, results), encoding="utf-8")


def say(line: str) -> None:
    """Print progress."""
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
