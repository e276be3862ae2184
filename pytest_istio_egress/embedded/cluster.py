"""Starts a cluster or returns the running one, reports its status, and stops it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.cgroups import cgroup_folders, remove_cgroups
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.launch import STOP_PATIENCE, launch, reap
from pytest_istio_egress.embedded.node_plan import NodePlan
from pytest_istio_egress.embedded.parts import prepare
from pytest_istio_egress.embedded.prerequisites import meet_prerequisites
from pytest_istio_egress.embedded.progress import Progress, Silent
from pytest_istio_egress.embedded.proxy_binary import fingerprint
from pytest_istio_egress.embedded.spec import ClusterSpec, EmbeddedCluster, check_name
from pytest_istio_egress.embedded.state import Record, State
from pytest_istio_egress.embedded.versions import versions
from pytest_istio_egress.embedded.ztunnel import ztunnel_fingerprint

START_STEPS = 7  # API server, node, CoreDNS, istiod, Istio's webhooks, network policy, egress gateway


def up(
    spec: ClusterSpec,
    progress: Progress | None = None,
    *,
    install_packages: bool = False,
    tied_to_caller: bool = False,
) -> EmbeddedCluster:
    """Return the running cluster `spec.name`, starting it (and building its parts) if it does not run.

    With `tied_to_caller` a cluster that this call starts ends when the calling process does, however it ends.
    With `install_packages` missing Debian packages are installed. Raises EmbeddedError; then nothing is left running.
    """
    display = progress or Silent()
    state = State(spec.name)
    with state.lock():
        if (record := state.record()) and record.alive and record.phase == "ready":
            _same_versions(record, spec)
            return cluster_of(record, state, started=False)
        meet_prerequisites(Cache(), display, install_packages=install_packages)
        display.expect(START_STEPS + 2 * spec.ambient)
        parts = prepare(spec, Cache(), display)
        _end(state)
        record = launch(state, parts, asked_of(spec), display, tied=tied_to_caller)
        return cluster_of(record, state, started=True)


def down(name: str = "default") -> bool:
    """Stop a cluster and remove its state; False when there was none. Raises EmbeddedError if it does not stop."""
    check_name(name)
    state = State(name)
    there = state.record() is not None
    _ask_to_stop(state)  # before the lock, which the process that starts this cluster holds
    with state.lock():
        _end(state)
        return there


@dataclass(frozen=True)
class ClusterStatus:
    """`phase` is none, starting, ready or ended; `cluster` is set when it is ready, `why` when it has ended."""

    name: str
    phase: str
    cluster: EmbeddedCluster | None = None
    why: str = ""


def status(name: str = "default") -> ClusterStatus:
    """Return the status of a cluster, by its record and whether its keeper runs."""
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
    """Return the settings by which a running cluster is compared with a requested one."""
    return {
        "Istio": spec.istio or versions().default_release.version,
        "Envoy": _envoy_asked_of(spec),
        "mesh mode": spec.mesh_mode,
        "compatibility": spec.compatibility or "its own",
        "IP family": spec.ip_family,
        "data plane": _data_plane_asked_of(spec),
    }


def _envoy_asked_of(spec: ClusterSpec) -> str:
    if spec.proxy_binary is not None:
        return f"{spec.proxy_binary} ({fingerprint(spec.proxy_binary)})"
    return spec.envoy or versions().envoy_with(spec.istio) or f"of Istio {spec.istio}"


def _data_plane_asked_of(spec: ClusterSpec) -> str:
    return f"ambient ({spec.ztunnel}, {ztunnel_fingerprint(spec.ztunnel)})" if spec.ztunnel else "sidecar"


def _same_versions(record: Record, spec: ClusterSpec) -> None:
    for what, wanted in asked_of(spec).items():
        runs = record.asked.get(what, wanted)  # an earlier version of this package did not record all of them
        if runs != wanted:
            raise EmbeddedError(
                f"cluster {record.name} runs with {what} {runs}, not {wanted}: stop it first, or use another name",
                f"istio-egress cluster down --name {record.name}",
            )


def cluster_of(record: Record, state: State, *, started: bool) -> EmbeddedCluster:
    """Return the cluster that a record describes."""
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
    """Stop the cluster of this name, if there is one, and remove its state and cgroups."""
    folders = set(cgroup_folders(state.name))
    if (record := _ask_to_stop(state)) and record.alive:
        deadline = time.monotonic() + STOP_PATIENCE
        while record.alive:
            if time.monotonic() > deadline:
                raise EmbeddedError(f"cluster {state.name} does not stop", f"kill -9 {record.keeper}")
            time.sleep(0.02)
    with contextlib.suppress(OSError, ValueError, TypeError):  # a state that cannot be read names no cgroups
        folders |= set(NodePlan.read(state.folder).cgroups)
    if left := remove_cgroups(folders):
        raise EmbeddedError(
            f"cgroup {left[0]} of cluster {state.name} cannot be removed: it still has processes",
            f"cat {left[0]}/cgroup.procs",
        )
    reap(state.name)
    state.remove()
