"""Starts, finds and ends clusters: the way from a ClusterSpec to a kubeconfig that answers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.cgroups import cgroup_folders, remove_cgroups
from pytest_istio_egress.embedded.debian_packages import cni_plugins
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.node_plan import API_SERVICE, NODE_ADDRESS, NodePlan
from pytest_istio_egress.embedded.parts import Parts, prepare
from pytest_istio_egress.embedded.pki import make_pki
from pytest_istio_egress.embedded.prerequisites import meet_prerequisites
from pytest_istio_egress.embedded.progress import Progress, Silent
from pytest_istio_egress.embedded.spec import ClusterSpec, EmbeddedCluster, check_name
from pytest_istio_egress.embedded.state import Record, State, boot_id, started_at
from pytest_istio_egress.embedded.versions import versions

START_STEPS = 7  # API server, node, CoreDNS, istiod, Istio's webhooks, network policy, egress gateway
STOP_PATIENCE = 30.0  # seconds for a keeper to clear up
_keepers: dict[str, subprocess.Popen[bytes]] = {}  # those that this process started: it is theirs to reap them


def up(
    spec: ClusterSpec,
    progress: Progress | None = None,
    *,
    install_packages: bool = False,
    tied_to_caller: bool = False,
) -> EmbeddedCluster:
    """Return the running cluster `spec.name`, starting it (and building its parts) if need be.

    With `tied_to_caller` a cluster that this call starts ends when the calling process does, however it ends.
    With `install_packages` missing Debian packages are installed. Raises EmbeddedError; then nothing is left running.
    """
    told = progress or Silent()
    state = State(spec.name)
    with state.lock():
        if (record := state.record()) and record.alive and record.phase == "ready":
            _same_versions(record, spec)
            return cluster_of(record, state, started=False)
        meet_prerequisites(Cache(), told, install_packages=install_packages)
        told.expect(START_STEPS)
        parts = prepare(spec, Cache(), told)
        _end(state)
        return _start(spec, state, parts, told, tied=tied_to_caller)


def down(name: str = "default") -> bool:
    """End a cluster and remove its state; False when there was none. Raises EmbeddedError if it will not end."""
    check_name(name)
    state = State(name)
    there = state.record() is not None
    _ask_to_stop(state)  # before the lock: whoever starts this cluster holds it
    with state.lock():
        _end(state)
        return there


@dataclass(frozen=True)
class ClusterStatus:
    """`phase` is none, starting, ready or ended; `cluster` is there when it is ready, `why` when it ended."""

    name: str
    phase: str
    cluster: EmbeddedCluster | None = None
    why: str = ""


def status(name: str = "default") -> ClusterStatus:
    """Tell how a cluster is, from its record and whether its keeper lives."""
    check_name(name)
    state = State(name)
    record = state.record()
    if record is None:
        return ClusterStatus(name, "none")
    if record.phase == "ended" or not record.alive:
        return ClusterStatus(name, "ended", why=record.why or "it was killed, or the machine was restarted")
    cluster = cluster_of(record, state, started=False) if record.phase == "ready" else None
    return ClusterStatus(name, record.phase, cluster)


def asked_of(spec: ClusterSpec) -> dict[str, str]:
    """Return what a cluster is known by: what was asked for, or what stands for it."""
    pinned = versions()
    return {
        "Istio": spec.istio or pinned.components["istio"].version,
        "Envoy": spec.envoy or pinned.envoy_version,
        "mesh mode": spec.mesh_mode,
        "compatibility": spec.compatibility or "its own",
    }


def _same_versions(record: Record, spec: ClusterSpec) -> None:
    for what, wanted in asked_of(spec).items():
        runs = record.asked.get(what, wanted)  # an earlier version of this package did not ask for all of them
        if runs != wanted:
            raise EmbeddedError(
                f"cluster {record.name} runs with {what} {runs}, not {wanted}: end it first, or use another name",
                f"istio-egress cluster down --name {record.name}",
            )


def cluster_of(record: Record, state: State, *, started: bool) -> EmbeddedCluster:
    """Return the cluster that a record tells of."""
    return EmbeddedCluster(
        name=record.name,
        kubeconfig=state.kubeconfig,
        started=started,
        notes=record.notes,
        istio=record.istio,
        envoy=record.envoy,
        kubernetes=record.kubernetes,
        binaries=Path(record.binaries),
    )


def _ask_to_stop(state: State) -> Record | None:
    record = state.record()
    if record and record.alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.keeper, signal.SIGTERM)
    return record


def _end(state: State) -> None:
    """End whatever runs under this name and remove what it left."""
    folders = set(cgroup_folders(state.name))
    if (record := _ask_to_stop(state)) and record.alive:
        deadline = time.monotonic() + STOP_PATIENCE
        while record.alive:
            if time.monotonic() > deadline:
                raise EmbeddedError(f"cluster {state.name} does not end", f"kill -9 {record.keeper}")
            time.sleep(0.02)
    with contextlib.suppress(OSError, ValueError, TypeError):  # a state that cannot be read names no cgroups
        folders |= set(NodePlan.read(state.folder).cgroups)
    if left := remove_cgroups(folders):
        raise EmbeddedError(
            f"cgroup {left[0]} of cluster {state.name} cannot be removed: it still has processes",
            f"cat {left[0]}/cgroup.procs",
        )
    if keeper := _keepers.pop(state.name, None):
        keeper.wait(STOP_PATIENCE)
    state.remove()


def _start(spec: ClusterSpec, state: State, parts: Parts, progress: Progress, *, tied: bool) -> EmbeddedCluster:
    state.renew()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        plan = _plan(state, parts)
        plan.write()
        outside = f"https://127.0.0.1:{listener.getsockname()[1]}"
        make_pki(plan.pki, plan.node, ("127.0.0.1", NODE_ADDRESS, API_SERVICE), outside, plan.node)
        keeper = _spawn_keeper(state, listener, tied=tied)
    record = Record(
        name=spec.name,
        phase="starting",
        keeper=keeper.pid,
        keeper_started=started_at(keeper.pid) or 0,
        boot=boot_id(),
        asked=asked_of(spec),
        istio=parts.istio,
        envoy=parts.envoy,
        kubernetes=parts.kubernetes,
        binaries=str(_tools(state, parts)),
        notes=parts.notes,
    )
    state.write(record)
    try:
        _follow(keeper, spec.name, progress)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            keeper.terminate()
        keeper.wait(STOP_PATIENCE)
        raise
    finally:
        if keeper.stdout:
            keeper.stdout.close()
    _keepers[spec.name] = keeper
    return cluster_of(replace(record, phase="ready"), state, started=True)


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
    """Show the start's events until the cluster is ready. Raises EmbeddedError when it ends instead."""
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
    raise EmbeddedError(f"cluster {name} did not start: its keeper was killed")
