"""However a cluster ends, nothing of it stays: no process, mount, cgroup or key."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_istio_egress.embedded import ClusterSpec, EmbeddedError, cluster, down, parts, status, up
from pytest_istio_egress.embedded.parts import Parts
from pytest_istio_egress.embedded.state import State

from .conftest import Kubectl

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.skipif(os.geteuid() != 0, reason="the embedded cluster needs root"),
]

CALLER = """
import signal, sys, threading
from pytest_istio_egress.embedded import ClusterSpec, up
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored
print("begun", flush=True)
up(ClusterSpec(name=sys.argv[1]), tied_to_caller=sys.argv[2] == "tied")
print("ready", flush=True)
threading.Event().wait()
"""
PATIENCE = 30.0


@pytest.fixture
def name() -> Iterator[str]:
    chosen = f"life-{os.getpid()}"
    yield chosen
    down(chosen)


@contextlib.contextmanager
def caller(name: str, tied: str, wait_for: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", CALLER, name, tied], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            while (line := process.stdout.readline().strip()) != wait_for:
                assert line, "the caller ended before it got there"
            yield process
        finally:
            process.kill()


def until(holds: object, what: str) -> None:
    assert callable(holds)
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def remains(name: str) -> list[str]:
    """Processes, cgroups and mounts that carry the cluster's name."""
    folder = str(State(name).folder)
    processes = [
        f"process {file.parent.name}"
        for file in Path("/proc").glob("[0-9]*/cmdline")
        if f"{folder}\0".encode() in _content(file) or f"{folder}/".encode() in _content(file)
    ]
    # os.walk, unlike glob, bears with cgroups that go while it looks.
    walked = os.walk("/sys/fs/cgroup")
    groups = [f"cgroup {folder}" for folder, children, _ in walked if f"istio-egress-{name}" in children]
    mounts = [line for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines() if folder in line]
    return [*processes, *groups, *mounts]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it ended while we looked
        return b""


def nothing_stays(name: str) -> None:
    until(lambda: not remains(name), f"still there: {remains(name)}")
    assert not (State(name).folder / "pki").exists()


def test_a_tied_cluster_ends_with_its_caller(name: str) -> None:
    with caller(name, "tied", "ready") as process:
        assert remains(name)
        process.kill()
        nothing_stays(name)
    until(lambda: status(name).phase == "none", "its state is still there")


def test_an_untied_cluster_outlives_its_caller_until_down(name: str) -> None:
    with caller(name, "untied", "ready") as process:
        process.kill()
        process.wait()
        assert status(name).phase == "ready"
        assert down(name)
        nothing_stays(name)
    assert not down(name)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_start_that_is_cut_off_leaves_nothing(name: str, sign: signal.Signals) -> None:
    with caller(name, "untied", "begun") as process:
        until((State(name).logs / "kube-apiserver.log").is_file, "it never started")
        process.send_signal(sign)
        process.wait(PATIENCE)
        nothing_stays(name)


def test_a_killed_keeper_takes_all_with_it(name: str) -> None:
    up(ClusterSpec(name=name))
    record = State(name).record()
    assert record is not None
    os.kill(record.keeper, signal.SIGKILL)
    nothing_stays(name)
    assert status(name).phase == "ended"


def test_a_component_that_dies_later_ends_the_cluster_and_is_named(name: str) -> None:
    up(ClusterSpec(name=name))
    os.kill(component(name, "etcd"), signal.SIGKILL)
    nothing_stays(name)
    until(lambda: status(name).phase == "ended", "its end was not noted")
    assert "etcd" in status(name).why
    assert up(ClusterSpec(name=name)).started


def test_an_api_server_that_dies_is_started_again(name: str) -> None:
    kubectl = Kubectl(up(ClusterSpec(name=name)))
    first = component(name, "kube-apiserver")
    os.kill(first, signal.SIGKILL)
    until(lambda: kubectl.run("get", "--raw=/readyz").stdout == "ok", "it does not answer")
    assert component(name, "kube-apiserver") != first
    assert status(name).phase == "ready"
    kubectl("-n", "istio-system", "rollout", "restart", "deployment/istiod")
    kubectl("-n", "istio-system", "rollout", "status", "deployment/istiod", "--timeout=60s")


def component(name: str, program: str) -> int:
    """Return the process of one of a cluster's components."""
    return next(
        int(file.parent.name)
        for file in Path("/proc").glob("[0-9]*/cgroup")
        if f"istio-egress-{name}".encode() in _content(file)
        and _content(file.parent / "comm").decode().strip() == program
    )


def test_a_component_that_dies_at_the_start_is_shown_with_its_log(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = parts.prepare

    def with_a_broken_kubelet(*arguments: object) -> Parts:
        made = prepare(*arguments)  # type: ignore[arg-type]  # handed through as they came
        for binary in made.components["kubernetes"].iterdir():
            if binary.name != "kubelet":
                (tmp_path / binary.name).symlink_to(binary)
        (tmp_path / "kubelet").write_text("#!/bin/sh\necho the disk is on fire\nexit 3\n", encoding="utf-8")
        (tmp_path / "kubelet").chmod(0o755)
        return dataclasses.replace(made, components={**made.components, "kubernetes": tmp_path})

    monkeypatch.setattr(cluster, "prepare", with_a_broken_kubelet)
    with pytest.raises(EmbeddedError, match=r"kubelet ended with 3\nthe disk is on fire"):
        up(ClusterSpec(name=name))
    nothing_stays(name)
