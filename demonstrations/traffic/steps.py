"""The steps of an upgrade that are performed under steady traffic."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from demonstrations.cluster_tools import kubectl
from pytest_istio_egress.embedded import EmbeddedCluster
from pytest_istio_egress.model.mesh_facts import OF_GATEWAY_API
from pytest_istio_egress.traffic.kinds import AMBIENT_CLIENT, GATEWAY_CLIENT, SIDECAR_CLIENT
from pytest_istio_egress.traffic.workloads import Traffic

NEXT = "next"
"""The revision that clients with sidecars move to."""


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
    namespace = traffic.names.namespace(SIDECAR_CLIENT.namespace)
    kubectl(cluster, "label", "namespace", namespace, "istio-injection-", f"istio.io/rev={NEXT}", "--overwrite")
    kubectl(cluster, "rollout", "restart", "-n", namespace, "deployment")
    for client in (SIDECAR_CLIENT, GATEWAY_CLIENT):
        kubectl(cluster, "rollout", "status", "-n", namespace, f"deployment/{client.name}", "--timeout=180s")


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


def ztunnel_restart(cluster: EmbeddedCluster, traffic: Traffic) -> None:
    """Replace ztunnel's pods; each new one is ready before the old one drains."""
    del traffic
    replace_pods(cluster, "istio-system", "daemonset/ztunnel", "app=ztunnel")


def waypoint_rollout(cluster: EmbeddedCluster, traffic: Traffic) -> None:
    """Replace the waypoint's pod; the new one is ready before the old one drains."""
    namespace = traffic.names.namespace(AMBIENT_CLIENT.namespace)
    replace_pods(cluster, namespace, "deployment/waypoint", WAYPOINT)


def waypoint_gone(cluster: EmbeddedCluster, traffic: Traffic) -> None:
    """Scale the waypoint to 0 for ten seconds: the control, because this must lose traffic."""
    namespace = traffic.names.namespace(AMBIENT_CLIENT.namespace)
    kubectl(cluster, "scale", "-n", namespace, "deployment/waypoint", "--replicas=0")
    kubectl(cluster, "wait", "-n", namespace, "--for=delete", "pod", "-l", WAYPOINT, "--timeout=60s")
    pass_time(traffic, 10)
    kubectl(cluster, "scale", "-n", namespace, "deployment/waypoint", "--replicas=1")
    kubectl(cluster, "rollout", "status", "-n", namespace, "deployment/waypoint", "--timeout=180s")


def replace_pods(cluster: EmbeddedCluster, namespace: str, workload: str, selector: str) -> None:
    """Restart a workload, and wait until its old pods are gone: some connections end with these."""
    old = kubectl(cluster, "get", "pods", "-n", namespace, "-l", selector, "-o", "name").split()
    kubectl(cluster, "rollout", "restart", "-n", namespace, workload)
    kubectl(cluster, "rollout", "status", "-n", namespace, workload, "--timeout=180s")
    kubectl(cluster, "wait", "-n", namespace, "--for=delete", *old, "--timeout=120s")


def pass_time(traffic: Traffic, seconds: float) -> None:
    """Wait until the record is complete for this number of further seconds."""
    until = traffic.record().ends + seconds
    while traffic.record().complete < until:
        threading.Event().wait(0.5)  # between two readings of the record


WAYPOINT = f"{OF_GATEWAY_API}=waypoint"
"""Selects the pods of the waypoint."""
COMMON_STEPS = (
    Step("nothing", "No change for 20 seconds.", nothing),
    Step("istiod restart", "`kubectl rollout restart` of istiod.", istiod_restart),
)
SIDECAR_STEPS = (
    *COMMON_STEPS,
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
AMBIENT_STEPS = (
    *COMMON_STEPS,
    Step("ztunnel restart", "`kubectl rollout restart` of ztunnel's DaemonSet (maxSurge 1).", ztunnel_restart),
    Step("waypoint roll-out", "`kubectl rollout restart` of the waypoint, one replica.", waypoint_rollout),
    Step(
        "waypoint gone",
        "The control: the waypoint is scaled to 0 for ten seconds, so traffic must be lost.",
        waypoint_gone,
    ),
)
