"""Performs the steps of an upgrade on an embedded mesh, and reports what steady egress traffic lost.

    python demonstrations/traffic/traffic.py [ROUNDS]

Writes docs/traffic.md, and its progress to standard error. Every step is performed once, or ROUNDS times.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from demonstrations.cluster_tools import kubectl, output
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, down, up
from pytest_istio_egress.embedded.istio_manifest import istio_settings
from pytest_istio_egress.suite.discovery import fixtures_folder
from pytest_istio_egress.traffic.kinds import KINDS
from pytest_istio_egress.traffic.losses import Loss, losses, silent_clients
from pytest_istio_egress.traffic.workloads import Traffic

CLUSTER = os.environ.get("TRAFFIC_CLUSTER", "traffic-steps")
PAGE = Path(__file__).parents[2] / "docs" / "traffic.md"
AFTERWARDS = 10.0
"""Seconds after a step that still belong to it: a proxy drains before it ends."""
NEXT = "next"


@dataclass(frozen=True)
class Step:
    """One step of an upgrade. `description` is for the page."""

    name: str
    description: str
    do: Callable[[EmbeddedCluster, Traffic], None]


def nothing(cluster: EmbeddedCluster, traffic: Traffic) -> None:
    """Change nothing: traffic that is lost here is not lost because of a step."""
    del cluster
    pass_time(traffic, 20)


def istiod_restart(cluster: EmbeddedCluster, traffic: Traffic) -> None:
    """Restart the control plane."""
    del traffic
    kubectl(cluster, "rollout", "restart", "-n", "istio-system", "deployment/istiod")
    kubectl(cluster, "rollout", "status", "-n", "istio-system", "deployment/istiod", "--timeout=180s")


def revision_switch(cluster: EmbeddedCluster, traffic: Traffic) -> None:
    """Move the clients' namespace to another control plane by restarting its Deployments."""
    namespace = traffic.names.namespace("egress-client")
    kubectl(cluster, "label", "namespace", namespace, "istio-injection-", f"istio.io/rev={NEXT}", "--overwrite")
    kubectl(cluster, "rollout", "restart", "-n", namespace, "deployment")
    for client in ("client", "gateway-client"):
        kubectl(cluster, "rollout", "status", "-n", namespace, f"deployment/{client}", "--timeout=180s")


def gateway_rollout(cluster: EmbeddedCluster, traffic: Traffic) -> None:
    """Replace the egress gateway's pod; the new one is ready first."""
    del traffic
    kubectl(cluster, "rollout", "restart", "-n", "istio-system", "deployment/istio-egressgateway")
    kubectl(cluster, "rollout", "status", "-n", "istio-system", "deployment/istio-egressgateway", "--timeout=180s")


def gateway_gone(cluster: EmbeddedCluster, traffic: Traffic) -> None:
    """Scale the egress gateway to 0 for ten seconds: the control, because this must lose traffic."""
    kubectl(cluster, "scale", "-n", "istio-system", "deployment/istio-egressgateway", "--replicas=0")
    kubectl(cluster, "wait", "-n", "istio-system", "--for=delete", "pod", "-l", "istio=egressgateway", "--timeout=60s")
    pass_time(traffic, 10)
    kubectl(cluster, "scale", "-n", "istio-system", "deployment/istio-egressgateway", "--replicas=1")
    kubectl(cluster, "rollout", "status", "-n", "istio-system", "deployment/istio-egressgateway", "--timeout=180s")


STEPS = (
    Step("nothing", "No change for 20 seconds.", nothing),
    Step("istiod restart", "`kubectl rollout restart` of istiod.", istiod_restart),
    Step(
        "revision switch",
        "The clients' namespace moves to a second revision and its Deployments are restarted: a new pod becomes ready, "
        "then the old one is terminated.",
        revision_switch,
    ),
    Step("gateway roll-out", "`kubectl rollout restart` of the egress gateway, one replica.", gateway_rollout),
    Step(
        "gateway gone",
        "The control: the egress gateway is scaled to 0 for ten seconds, so traffic must be lost.",
        gateway_gone,
    ),
)


def pass_time(traffic: Traffic, seconds: float) -> None:
    """Wait until the record is complete for this number of further seconds."""
    until = traffic.record().ends + seconds
    while traffic.record().complete < until:
        threading.Event().wait(0.5)  # between two readings of the record


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


def page(cluster: EmbeddedCluster, rounds: list[dict[str, list[Loss]]]) -> str:
    """Return the page."""
    lines = [
        "# Egress traffic lost during an upgrade",
        "",
        f"Made by `python demonstrations/traffic/traffic.py {len(rounds)}` on an embedded cluster:",
        f"Istio {cluster.istio}, Envoy {cluster.envoy}, one node, two cores, one replica of everything.",
        "`istio-egress traffic` sent eight kinds of traffic: at most five requests a second of each, and at most five",
        "events a second on each long-lived connection.",
        f"Each step was performed {len(rounds)} times; a cell has lost/sent for each time, then the longest gap",
        "without a response. For long-lived connections (tcp, stream, gateway-stream) the numbers count connections. A",
        "connection that ended because its own pod was terminated is not lost; their number follows a plus sign.",
        "",
        "| kind | " + " | ".join(step.name for step in STEPS) + " |",
        "| --- |" + " --- |" * len(STEPS),
    ]
    for kind in KINDS:
        cells = [cell([one for done in rounds for one in done[step.name] if one.kind == kind]) for step in STEPS]
        lines.append(f"| {kind.name} | " + " | ".join(cells) + " |")
    lines += ["", *(f"- {step.name}: {step.description}" for step in STEPS), "", "What the clients saw:", ""]
    for step in STEPS:
        saw = sorted(
            {f"{loss.kind.name}: {what.partition(' x ')[2]}" for done in rounds for loss in done[step.name]
             for gap in loss.gaps for what in gap.saw}
        )  # fmt: skip
        lines.append(f"- {step.name}: {'; '.join(saw) or 'only successful responses'}")
    return "\n".join(lines) + "\n"


def cell(taken: list[Loss]) -> str:
    """Return the losses of one kind in one step, for each time that it was performed."""
    counts = ", ".join(f"{loss.lost}/{loss.sent}" + (f" +{loss.ended}" if loss.ended else "") for loss in taken)
    longest = max((loss.longest for loss in taken), default=0.0)
    return f"{counts}; {longest:.1f} s" if longest else counts


def main() -> None:
    """Start the mesh and the traffic, perform the steps, write the page."""
    rounds = []
    cluster = up(ClusterSpec(name=CLUSTER), tied_to_caller=True)
    try:
        second_control_plane(cluster)
        for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
            traffic = Traffic(
                Api(cluster.kubeconfig, None), f"steps-{number}", fixtures_folder() / "traffic", timeout=300
            )
            traffic.start(say)
            done = {}
            for step in STEPS:
                done[step.name] = perform(step, cluster, traffic)
                say(f"{number} {step.name}: " + ", ".join(f"{one.kind.name} {cell([one])}" for one in done[step.name]))
            rounds.append(done)
            traffic.stop(say)
    finally:
        down(CLUSTER)
    PAGE.write_text(page(cluster, rounds), encoding="utf-8")


def say(line: str) -> None:
    """Print progress."""
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
