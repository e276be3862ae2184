"""The process of the node: runs below PID 1 of the cluster's namespaces, starts all components and watches them.

    caller -- keeper -- unshare -- PID 1 (reaps) -- this -- etcd, kube-apiserver, kubelet, containerd, ...

When one of the first four ends, the kernel ends the rest: each is tied to its parent. The end of a component ends the
cluster, too, except for the API server, which is restarted: Kubernetes tolerates its absence.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

from pytest_istio_egress.embedded import node_commands
from pytest_istio_egress.embedded.api_forward import forward
from pytest_istio_egress.embedded.node_plan import RUN, NodePlan
from pytest_istio_egress.embedded.node_setup import set_up_files, set_up_network
from pytest_istio_egress.embedded.node_start import NotReadyError, Start

LIVES = 5.0
"""The seconds that a component must have run to be restarted: one that ends at once would only end again."""


class ComponentDiedError(Exception):
    """A component ended unexpectedly."""

    def __init__(self, component: str, code: int) -> None:
        super().__init__(f"{component} ended with {code}" if code >= 0 else f"{component} was killed by signal {-code}")
        self.component = component


def tell(event: str, **facts: object) -> None:
    """Send one event to the keeper, as a line of JSON."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps({"event": event, **facts}), flush=True)  # noqa: T201  # stdout is the pipe to the keeper


class Node:
    """The components that run, and the tasks that watch them."""

    def __init__(self, plan: NodePlan, group: asyncio.TaskGroup) -> None:
        self.plan = plan
        self._group = group

    async def run(self, name: str, command: list[str]) -> None:
        """Start a component, whose end ends the node."""
        self._group.create_task(self._watch(name, await self._started(name, command)))

    async def keep(self, name: str, command: list[str]) -> None:
        """Start a component, and restart it when it ends, as a kubelet restarts static pods of a control plane."""
        self._group.create_task(self._start_again(name, command, await self._started(name, command)))

    async def _started(self, name: str, command: list[str]) -> asyncio.subprocess.Process:
        search = f"{self.plan.components['containerd']}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        with (self.plan.logs / f"{name}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=RUN,
                env={"PATH": search, "HOME": str(RUN), "LANG": "C.UTF-8", "GOGC": "400", "GOMEMLIMIT": "1GiB"},
            )

    async def _start_again(self, name: str, command: list[str], process: asyncio.subprocess.Process) -> None:
        while True:
            began = time.monotonic()
            code = await process.wait()
            if time.monotonic() - began < LIVES:
                raise ComponentDiedError(name, code)
            process = await self._started(name, command)

    async def _watch(self, name: str, process: asyncio.subprocess.Process) -> None:
        raise ComponentDiedError(name, await process.wait())


async def run_node(plan: NodePlan, listener: socket.socket) -> None:
    """Start the cluster, report that it is ready, and wait until a component ends."""
    async with asyncio.TaskGroup() as group:
        node = Node(plan, group)
        start = Start(plan, tell)
        tell("started", step="API server")
        await node.run("etcd", node_commands.etcd(plan))
        node_commands.write_cni(plan)
        await node.run("containerd", node_commands.containerd(plan))
        await start.etcd_answers()
        await node.keep("kube-apiserver", node_commands.kube_apiserver(plan))
        await start.api_answers()
        await node.run("kubelet", node_commands.kubelet(plan))
        applied = group.create_task(start.apply_manifests())
        await start.api_is_ready()
        await node.run("kube-controller-manager", node_commands.kube_controller_manager(plan))
        await node.run("kube-scheduler", node_commands.kube_scheduler(plan))
        await node.run("kube-proxy", node_commands.kube_proxy(plan))
        tell("finished", step="API server")
        tell("started", step="node")
        await node.run("network-policy", node_commands.network_policy(plan))
        await applied
        await start.node_is_ready()
        tell("finished", step="node")
        group.create_task(forward(listener, ("127.0.0.1", 6443)))
        await start.istio_is_ready()
        tell("ready")


def last_lines(log: Path, count: int = 12) -> str:
    """Return the last lines of a log."""
    if not log.is_file():
        return ""
    with log.open("rb") as content:
        content.seek(max(0, log.stat().st_size - 8192))
        lines = content.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-count:])


def stay_as_init(child: int) -> None:
    """Reap every orphan until `child` ends; then this process ends, and with it the whole namespace."""
    while True:
        ended, status = os.wait()
        if ended == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def main(state: str, listener: str) -> int:
    """Run the node whose plan lies in the folder `state`; `listener` is the descriptor of a listening socket."""
    child = os.fork()
    if child:
        stay_as_init(child)
    plan = NodePlan.read(Path(state))
    try:
        set_up_files(plan)
        set_up_network(plan.networks)
        asyncio.run(run_node(plan, socket.socket(fileno=int(listener))))
    except Exception as error:  # noqa: BLE001  # the keeper reports any error that ends the node
        tell("failed", **reason(error, plan.logs))
    return 1


def reason(error: BaseException, logs: Path) -> dict[str, str]:
    """Return the message of the innermost first error, with the last lines of the log of the component that ended."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ComponentDiedError):
        return {"message": str(error), "log": last_lines(logs / f"{error.component}.log")}
    if isinstance(error, NotReadyError):
        return {"message": str(error), "log": ""}
    said = error.stderr.decode(errors="replace") if isinstance(error, subprocess.CalledProcessError) else ""
    return {"message": f"{type(error).__name__}: {error}", "log": said or traceback.format_exc()}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
