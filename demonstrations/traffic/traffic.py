"""Does to an embedded mesh what an upgrade does, and tells what steady egress traffic lost.

    python demonstrations/traffic/traffic.py [ROUNDS]

Writes docs/traffic.md (and what it is doing to stderr). Every step is taken once, or in so many rounds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
"""Seconds of traffic after a step that still belong to it: a proxy drains before it goes."""
NEXT = "next"

Kubectl = Callable[..., str]


@dataclass(frozen=True)
class Step:
    """One thing that is done to the mesh. `says` is for the page."""

    name: str
    says: str
    do: Callable[[Kubectl, Traffic], None]


def nothing(kubectl: Kubectl, traffic: Traffic) -> None:
    """Let time pass: what is lost here, the steps are not to blame for."""
    del kubectl
    pass_time(traffic, 20)


def istiod_restart(kubectl: Kubectl, traffic: Traffic) -> None:
    """Restart the control plane."""
    del traffic
    kubectl("rollout", "restart", "-n", "istio-system", "deployment/istiod")
    kubectl("rollout", "status", "-n", "istio-system", "deployment/istiod", "--timeout=180s")


def revision_switch(kubectl: Kubectl, traffic: Traffic) -> None:
    """Move the clients' namespace to another control plane, pod by pod."""
    namespace = traffic.names.namespace("egress-client")
    kubectl("label", "namespace", namespace, "istio-injection-", f"istio.io/rev={NEXT}", "--overwrite")
    kubectl("rollout", "restart", "-n", namespace, "deployment")
    for client in ("client", "gateway-client"):
        kubectl("rollout", "status", "-n", namespace, f"deployment/{client}", "--timeout=180s")


def gateway_rollout(kubectl: Kubectl, traffic: Traffic) -> None:
    """Replace the egress gateway's pod by a new one, which gets ready first."""
    del traffic
    kubectl("rollout", "restart", "-n", "istio-system", "deployment/istio-egressgateway")
    kubectl("rollout", "status", "-n", "istio-system", "deployment/istio-egressgateway", "--timeout=180s")


def gateway_gone(kubectl: Kubectl, traffic: Traffic) -> None:
    """Take the egress gateway away for ten seconds: the control, for this must lose traffic."""
    kubectl("scale", "-n", "istio-system", "deployment/istio-egressgateway", "--replicas=0")
    kubectl("wait", "-n", "istio-system", "--for=delete", "pod", "-l", "istio=egressgateway", "--timeout=60s")
    pass_time(traffic, 10)
    kubectl("scale", "-n", "istio-system", "deployment/istio-egressgateway", "--replicas=1")
    kubectl("rollout", "status", "-n", "istio-system", "deployment/istio-egressgateway", "--timeout=180s")


STEPS = (
    Step("nothing", "Nothing is done for 20 seconds.", nothing),
    Step("istiod restart", "`kubectl rollout restart` of istiod.", istiod_restart),
    Step(
        "revision switch",
        "The clients' namespace goes from the control plane to a second revision, their Deployments are restarted: "
        "a new pod gets ready, then the old one is told to end.",
        revision_switch,
    ),
    Step("gateway roll-out", "`kubectl rollout restart` of the egress gateway, one replica.", gateway_rollout),
    Step("gateway gone", "The control: the egress gateway is scaled to 0 for ten seconds.", gateway_gone),
)


def pass_time(traffic: Traffic, seconds: float) -> None:
    """Return once all is known of so many seconds more."""
    until = traffic.record().ends + seconds
    while traffic.record().complete < until:
        threading.Event().wait(0.5)  # between two looks at the record


def take(step: Step, kubectl: Kubectl, traffic: Traffic) -> list[Loss]:
    """Take a step and return what was lost in its time."""
    begin = traffic.record().ends
    step.do(kubectl, traffic)
    pass_time(traffic, AFTERWARDS)
    record = traffic.record()
    if silent := silent_clients(record):
        raise SystemExit(
            f"{', '.join(client.pod for client in silent)} fell silent: nothing can be said of {step.name}"
        )
    return losses(record, begin)


def second_control_plane(cluster: EmbeddedCluster, kubectl: Kubectl) -> None:
    """Install the revision that the clients are moved to; it is the same Istio."""
    settings = [word for word in istio_settings("REGISTRY_ONLY", cluster.istio) if "gateway" not in word.lower()]
    arguments = [part for word in (*settings, f"revision={NEXT}") for part in ("--set", word)]
    manifest = subprocess.run(
        [str(cluster.binaries / "istioctl"), "manifest", "generate", *arguments],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=manifest)
    kubectl("rollout", "status", "-n", "istio-system", f"deployment/istiod-{NEXT}", "--timeout=180s")


def kubectl_of(cluster: EmbeddedCluster) -> Kubectl:
    """Return kubectl for a cluster; it raises with its message where it fails."""

    def kubectl(*arguments: str, given: str | None = None) -> str:
        command = [str(cluster.binaries / "kubectl"), "--kubeconfig", str(cluster.kubeconfig), *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    return kubectl


def page(cluster: EmbeddedCluster, rounds: list[dict[str, list[Loss]]]) -> str:
    """Return the page."""
    lines = [
        "# What an upgrade loses of egress traffic",
        "",
        f"Made by `python demonstrations/traffic/traffic.py {len(rounds)}` on an embedded cluster:",
        f"Istio {cluster.istio}, Envoy {cluster.envoy}, one node, two cores, one replica of everything.",
        "`istio-egress traffic` kept eight kinds of traffic going: five requests (and five",
        "events of each lasting connection) a second at most.",
        f"Each step was taken {len(rounds)} times; a cell says lost/sent of each time, then the longest time without",
        "answers. Of lasting connections (tcp, stream, gateway-stream) `sent` counts connections.",
        "A connection that ended because its own pod was told to end is not lost; their number stands behind a plus.",
        "",
        "| kind | " + " | ".join(step.name for step in STEPS) + " |",
        "| --- |" + " --- |" * len(STEPS),
    ]
    for kind in KINDS:
        cells = [cell([one for done in rounds for one in done[step.name] if one.kind == kind]) for step in STEPS]
        lines.append(f"| {kind.name} | " + " | ".join(cells) + " |")
    lines += ["", *(f"- {step.name}: {step.says}" for step in STEPS), "", "What the clients saw of it:", ""]
    for step in STEPS:
        saw = sorted(
            {f"{loss.kind.name}: {what.partition(' x ')[2]}" for done in rounds for loss in done[step.name]
             for gap in loss.gaps for what in gap.saw}
        )  # fmt: skip
        lines.append(f"- {step.name}: {'; '.join(saw) or 'answers only'}")
    return "\n".join(lines) + "\n"


def cell(found: list[Loss]) -> str:
    """Return what one step did to one kind, each time it was taken."""
    counts = ", ".join(f"{loss.lost}/{loss.sent}" + (f" +{loss.ended}" if loss.ended else "") for loss in found)
    longest = max((loss.longest for loss in found), default=0.0)
    return f"{counts}; {longest:.1f} s" if longest else counts


def main() -> None:
    """Start the mesh and the traffic, take the steps, write the page."""
    rounds = []
    cluster = up(ClusterSpec(name=CLUSTER), tied_to_caller=True)
    try:
        kubectl = kubectl_of(cluster)
        second_control_plane(cluster, kubectl)
        for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
            traffic = Traffic(
                Api(cluster.kubeconfig, None), f"steps-{number}", fixtures_folder() / "traffic", timeout=300
            )
            traffic.start(say)
            done = {}
            for step in STEPS:
                done[step.name] = take(step, kubectl, traffic)
                say(f"{number} {step.name}: " + ", ".join(f"{one.kind.name} {cell([one])}" for one in done[step.name]))
            rounds.append(done)
            traffic.stop(say)
    finally:
        down(CLUSTER)
    PAGE.write_text(page(cluster, rounds), encoding="utf-8")


def say(line: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
