"""The faults that faults.py injects, as data: how each is injected, and how a run may end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes import client
from way_to_api import WayToApi

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import RUN_LABEL
from pytest_istio_egress.cluster.mesh_config_map import BEFORE

AWAY = 8.0
"""Seconds for which the API server is unreachable."""
WEBHOOKS_AWAY = 20.0
"""Seconds for which it does not reach Istio's webhooks."""
NODE_AFTER = 150.0
"""Seconds until the node accepts pods: longer than a run waits for a pod without a new node announced."""
_ADMISSION = "admissionregistration.k8s.io/v1"
_EGRESS_GATEWAY = ("istio-egressgateway", "istio-system")


@dataclass
class Stage:
    """Everything that a fault can act on. `cleanup` undoes it when the run has ended."""

    cluster: str
    api: Api
    way: WayToApi
    folder: Path
    cleanup: ExitStack
    process: subprocess.Popen[str] | None = None
    run: str = ""

    def delete_pods(self, namespace: str, selector: str) -> None:
        """Delete pods without a grace period; their Deployments create new ones."""
        for pod in self.api.core.list_namespaced_pod(namespace, label_selector=selector).items:
            self.api.core.delete_namespaced_pod(pod.metadata.name, namespace, grace_period_seconds=0)

    def istio_webhooks(self) -> list[dict[str, Any]]:
        """Return the configurations of Istio's webhooks."""
        kinds = (f"{kind}WebhookConfiguration" for kind in ("Mutating", "Validating"))
        found = [each for kind in kinds for each in self.api.resource(_ADMISSION, kind).get().to_dict()["items"]]
        return [each for each in found if each["metadata"]["name"].startswith("istio")]

    def patch_webhooks(self, configurations: Sequence[dict[str, Any]]) -> None:
        """Replace the webhooks of these configurations."""
        for each in configurations:
            kind = self.api.resource(_ADMISSION, each["kind"])
            body = [{"op": "replace", "path": "/webhooks", "value": each["webhooks"]}]
            kind.patch(body=body, name=each["metadata"]["name"], content_type="application/json-patch+json")

    @property
    def pid(self) -> int:
        """The process id of pytest."""
        assert self.process is not None, "faults are injected into a running process"
        return self.process.pid

    def workers(self) -> Iterator[int]:
        """Yield the process ids of xdist's workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return map(int, children.split())


def nothing(_: Stage) -> Sequence[str]:
    """Prepare nothing; add no arguments."""
    return ()


@dataclass(frozen=True)
class Fault:
    """One fault."""

    name: str
    how: str
    expected: str
    inject: Callable[[Stage], None]
    exits: frozenset[int] = frozenset({0, 1})
    """The exit codes that a run may end with."""
    killed: bool = False
    """Whether the run may leave resources behind, which `istio-egress clean` must then find."""
    prepare: Callable[[Stage], Sequence[str]] = field(default=nothing)
    """Called before the run; returns more arguments for pytest."""
    library: str = ""
    """A shared library to preload, as a pattern below /usr/lib."""


def _istiod(stage: Stage) -> None:
    stage.delete_pods("istio-system", "app=istiod")


def _gateway(stage: Stage) -> None:
    stage.delete_pods("istio-system", "istio=egressgateway")


def _scale_gateway(stage: Stage) -> None:
    _scale(stage, 3)
    stage.cleanup.callback(_scale, stage, 1)


def _scale(stage: Stage, replicas: int) -> None:
    apps = client.AppsV1Api(stage.api.client)
    apps.patch_namespaced_deployment_scale(*_EGRESS_GATEWAY, {"spec": {"replicas": replicas}})


def _roll_gateway(stage: Stage) -> None:
    template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": str(stage.api.now())}}}
    apps = client.AppsV1Api(stage.api.client)
    apps.patch_namespaced_deployment(*_EGRESS_GATEWAY, {"spec": {"template": template}})


def _webhooks(stage: Stage) -> None:
    before = stage.istio_webhooks()
    for configuration in before:
        for webhook in configuration["webhooks"]:
            webhook["clientConfig"]["service"]["port"] = 444  # the Service has no such port
    stage.patch_webhooks(before)
    threading.Event().wait(WEBHOOKS_AWAY)
    for configuration in before:
        for webhook in configuration["webhooks"]:
            webhook["clientConfig"]["service"]["port"] = 443
    stage.patch_webhooks(before)


def _api_server(stage: Stage) -> None:
    for name in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # a process that has ended meanwhile
            its = f"istio-egress-{stage.cluster}" in (name.parent / "cgroup").read_text(encoding="utf-8")
            if its and name.read_text(encoding="utf-8").strip() == "kube-apiserver":
                os.kill(int(name.parent.name), signal.SIGKILL)


def _client(stage: Stage) -> None:
    stage.delete_pods(f"egress-client-{stage.run}-gw0", "app=sleep")


def _server(stage: Stage) -> None:
    stage.delete_pods(f"egress-outside-{stage.run}", "app=outside")


def _cuts(stage: Stage) -> None:
    for _ in range(5):
        stage.way.cut()
        threading.Event().wait(0.7)  # a cut at any moment is the fault: there is no condition to wait for


def _interrupt(times: int) -> Callable[[Stage], None]:
    def inject(stage: Stage) -> None:
        for _ in range(times):
            os.kill(stage.pid, signal.SIGINT)
            threading.Event().wait(1.5)  # as a user presses the keys again

    return inject


def _terminate(stage: Stage) -> None:
    os.kill(stage.pid, signal.SIGTERM)


def _terminate_when_mesh_is_changed(stage: Stage) -> None:
    """Wait in a thread, while the output of the run is read, until a test has changed the mesh configuration."""

    def wait() -> None:
        while BEFORE not in (_mesh_config(stage).metadata.annotations or {}):
            threading.Event().wait(0.05)
        _terminate(stage)

    threading.Thread(target=wait, daemon=True).start()


def _mesh_config(stage: Stage) -> client.V1ConfigMap:
    return stage.api.core.read_namespaced_config_map("istio", "istio-system")


def _late_node(stage: Stage) -> Sequence[str]:
    """Let the node refuse pods for a while, and announce a node to those that wait, as a cluster autoscaler does."""
    node = stage.api.core.list_node().items[0].metadata.name
    stage.api.core.patch_node(node, {"spec": {"taints": [{"key": "not-there-yet", "effect": "NoSchedule"}]}})
    ended = threading.Event()

    def announce() -> None:
        deadline, announced = time.monotonic() + NODE_AFTER, set[str]()
        while time.monotonic() < deadline and not ended.wait(1.0):
            for namespace in stage.api.core.list_namespace(label_selector=RUN_LABEL).items:
                _announce_node(stage.api, namespace.metadata.name, announced)
        stage.api.core.patch_node(node, {"spec": {"taints": None}})

    thread = threading.Thread(target=announce)
    thread.start()
    stage.cleanup.callback(thread.join)
    stage.cleanup.callback(ended.set)
    return ("--istio-egress-timeout-scale=1",)


def _announce_node(api: Api, namespace: str, announced: set[str]) -> None:
    for pod in api.core.list_namespaced_pod(namespace, field_selector="status.phase=Pending").items:
        if pod.metadata.uid not in announced:
            announced.add(pod.metadata.uid)
            event = {
                "metadata": {"generateName": "scale-up-"},
                "involvedObject": {"kind": "Pod", "namespace": namespace, "name": pod.metadata.name},
                "type": "Normal", "reason": "TriggeredScaleUp", "message": "pod triggered scale-up",
                "source": {"component": "cluster-autoscaler"}, "lastTimestamp": api.now().isoformat(),
            }  # fmt: skip
            api.core.create_namespaced_event(namespace, event)


def _kill_worker(stage: Stage) -> None:
    os.kill(next(stage.workers()), signal.SIGKILL)


def _finalizer(stage: Stage) -> None:
    namespace = f"egress-plain-{stage.run}"
    stuck = {"metadata": {"name": "stuck", "finalizers": ["istio-egress.dev/test"]}}
    stage.api.core.create_namespaced_config_map(namespace, stuck)
    free = {"metadata": {"finalizers": None}}
    stage.cleanup.callback(stage.api.core.patch_namespaced_config_map, "stuck", namespace, free)


def _right_clock(stage: Stage) -> Sequence[str]:
    (stage.folder / "clock").write_text("+0", encoding="ascii")
    return ()


def _wrong_clock(stage: Stage) -> None:
    (stage.folder / "clock").write_text("+26h", encoding="ascii")


def _small_disk(stage: Stage) -> Sequence[str]:
    disk = stage.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)], check=True)
    stage.cleanup.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
    return (f"--istio-egress-report={disk / 'report.yaml'}", f"--istio-egress-html={disk / 'report.html'}")


def _fill(stage: Stage) -> None:
    with contextlib.suppress(OSError):  # the disk is full: as intended
        (stage.folder / "disk" / "full").write_bytes(b"x" * 65_536)


FAULTS = (
    Fault("nothing", "-", "right results", lambda _: None, frozenset({0})),
    Fault("istiod", "its pod is deleted, a new one is created", "right results, or errors in between", _istiod),
    Fault("api-restart", "kube-apiserver is killed (SIGKILL) and restarted", "right results", _api_server,
          frozenset({0})),
    Fault("api-away", f"connections are reset and refused for {AWAY:g} s", "right results",
          lambda stage: stage.way.close_for(AWAY), frozenset({0})),
    Fault("api-cut", "all connections, execs and logs included, are reset five times", "right results", _cuts,
          frozenset({0})),
    Fault("client", "the pod of a worker's client is deleted", "right results, or errors in between", _client),
    Fault("server", "the pod of the external server is deleted", "right results, or errors in between", _server),
    Fault("gateway", "the pod of the egress gateway is deleted", "right results, or errors in between", _gateway),
    Fault("gateway-scales", "the egress gateway gets three replicas instead of one", "right results", _scale_gateway,
          frozenset({0})),
    Fault("gateway-rolls", "the egress gateway is rolled out again (`kubectl rollout restart`)",
          "right results, or errors in between", _roll_gateway),
    Fault("webhooks", f"the API server does not reach Istio's webhooks for {WEBHOOKS_AWAY:g} s", "right results",
          _webhooks, frozenset({0})),
    Fault("late-node", f"no node accepts pods until {NODE_AFTER:g} s after the start; a new one is announced",
          "right results", lambda _: None, frozenset({0}), prepare=_late_node),
    Fault("worker", "a worker is killed (SIGKILL)", "its current test is an error, the others are right", _kill_worker,
          frozenset({1})),
    Fault("ctrl-c", "SIGINT to pytest", "exit 2, cleaned up", _interrupt(1), frozenset({2})),
    Fault("ctrl-c-twice", "SIGINT to pytest, and again while it cleans up",
          "exit 2 and a message; `istio-egress clean` finds the rest", _interrupt(2), frozenset({2}), killed=True),
    Fault("sigterm", "SIGTERM to pytest, as from a cancelled job", "exit 2, cleaned up", _terminate, frozenset({2})),
    Fault("sigterm-mesh-wide", "SIGTERM to pytest while a test has changed the mesh configuration",
          "exit 2, cleaned up, the mesh configuration restored", _terminate_when_mesh_is_changed, frozenset({2}),
          prepare=lambda _: ("--istio-egress-allow-mesh-wide", "conformance/mesh_wide")),
    Fault("kill", "pytest is killed (SIGKILL)", "`istio-egress clean` finds the rest",
          lambda stage: os.kill(stage.pid, signal.SIGKILL), frozenset({-9}), killed=True),
    Fault("stuck", "a namespace of the run cannot be deleted because of a finalizer",
          "right results, exit 3 and a message that names the namespace", _finalizer, frozenset({3}),
          prepare=lambda _: ("--istio-egress-timeout-scale=0.5",)),
    Fault("clock", "the clock of pytest's machine jumps 26 hours ahead (libfaketime)", "right results", _wrong_clock,
          frozenset({0}), prepare=_right_clock, library="*/faketime/libfaketimeMT.so.1"),
    Fault("disk", "the disk for the reports is full", "right results, and an error that names the file",
          _fill, frozenset({1, 3}), prepare=_small_disk),
)  # fmt: skip
