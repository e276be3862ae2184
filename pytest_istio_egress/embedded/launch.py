"""Starts a cluster: its plan and keys, its keeper, and the events until it is ready."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from pytest_istio_egress.embedded.cgroups import cgroup_folders
from pytest_istio_egress.embedded.debian_packages import cni_plugins
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.node_plan import NodePlan
from pytest_istio_egress.embedded.parts import Parts
from pytest_istio_egress.embedded.pki import make_pki
from pytest_istio_egress.embedded.progress import Progress
from pytest_istio_egress.embedded.state import Record, State, boot_id, started_at
from pytest_istio_egress.embedded.versions import versions

STOP_PATIENCE = 30.0  # seconds for a keeper to clean up
_keepers: dict[str, subprocess.Popen[bytes]] = {}  # those that this process started: it is theirs to reap them


def launch(state: State, parts: Parts, asked: dict[str, str], progress: Progress, *, tied: bool) -> Record:
    """Start a cluster of these parts and return the record of it once it is ready.

    `asked` are the requested settings, which its record keeps; with `tied` it ends with the calling process. Raises
    EmbeddedError; then no process of it is left.
    """
    state.renew()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        plan = _plan(state, parts)
        plan.write()
        outside = f"https://127.0.0.1:{listener.getsockname()[1]}"
        own = [address for network in plan.networks for address in (network.node, network.api_service)]
        make_pki(plan.pki, plan.node, ("127.0.0.1", *own), outside, plan.node)
        keeper = _spawn_keeper(state, listener, tied=tied)
    record = Record(
        name=state.name,
        phase="starting",
        keeper=keeper.pid,
        keeper_started=started_at(keeper.pid) or 0,
        boot=boot_id(),
        asked=asked,
        istio=parts.istio,
        envoy=parts.envoy,
        kubernetes=parts.kubernetes,
        binaries=str(_tools(state, parts)),
        notes=parts.notes,
    )
    state.write(record)
    _await_ready(keeper, state.name, progress)
    _keepers[state.name] = keeper
    return replace(record, phase="ready")


def _await_ready(keeper: subprocess.Popen[bytes], name: str, progress: Progress) -> None:
    """Show the steps of a start until the cluster is ready; where it does not get ready, end its keeper and raise."""
    try:
        _follow(keeper, name, progress)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            keeper.terminate()
        keeper.wait(STOP_PATIENCE)
        raise
    finally:
        if keeper.stdout:
            keeper.stdout.close()


def reap(name: str) -> None:
    """Wait for the end of a cluster's keeper, if this process started it."""
    if keeper := _keepers.pop(name, None):
        keeper.wait(STOP_PATIENCE)


def _plan(state: State, parts: Parts) -> NodePlan:
    plugins = cni_plugins()
    assert plugins is not None, "the prerequisites have looked for them"
    pause = next(image.name for image in versions().images if "/pause:" in image.name)
    return NodePlan(
        name=state.name,
        state=state.folder,
        components=parts.components,
        images=parts.images,
        istio_manifest=parts.istio_manifest,
        cni_plugins=plugins,
        pause_image=pause,
        cgroups=cgroup_folders(state.name),
        ip_family=parts.ip_family,
        ambient=parts.ambient,
        upstream_waypoints=parts.upstream_waypoints,
    )


def _tools(state: State, parts: Parts) -> Path:
    """Make a folder with the cluster's own kubectl and istioctl."""
    folder = state.folder / "bin"
    folder.mkdir()
    (folder / "kubectl").symlink_to(parts.components["kubernetes"] / "kubectl")
    (folder / "istioctl").symlink_to(parts.components["istio"] / "istioctl")
    return folder


def _spawn_keeper(state: State, listener: socket.socket, *, tied: bool) -> subprocess.Popen[bytes]:
    caller = os.pidfd_open(os.getpid())
    try:
        with (state.logs / "keeper.log").open("ab") as log:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "pytest_istio_egress.embedded.keeper",
                    str(state.folder),
                    str(listener.fileno()),
                    str(caller),
                    "tied" if tied else "free",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                pass_fds=[listener.fileno(), caller],
                cwd="/",
            )
    finally:
        os.close(caller)


def _follow(keeper: subprocess.Popen[bytes], name: str, progress: Progress) -> None:
    """Show the events of the start until the cluster is ready. Raises EmbeddedError if it ends before that."""
    assert keeper.stdout is not None
    for line in keeper.stdout:
        event = json.loads(line)
        if event["event"] == "ready":
            return
        if event["event"] == "started":
            progress.started(event["step"])
        elif event["event"] == "finished":
            progress.finished(event["step"], "ready")
        elif event["event"] == "ended":
            log = f"\n{event['log']}" if event["log"] else ""
            raise EmbeddedError(
                f"cluster {name} did not start: {event['message']}{log}", f"istio-egress cluster logs --name {name}"
            )
    raise EmbeddedError(f"cluster {name} did not start: its supervisor process was killed")
