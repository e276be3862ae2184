"""The error of one line, before anything is started, on a machine that lacks a prerequisite."""

from __future__ import annotations

import os
import platform
import pwd
import shutil
from pathlib import Path

import pytest

from pytest_istio_egress.embedded import (
    ClusterSpec,
    EmbeddedError,
    cgroups,
    debian_packages,
    inotify,
    prerequisites,
    up,
)
from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.debian_packages import Missing, MissingPackagesError
from pytest_istio_egress.embedded.isolation import root_is_a_mount
from pytest_istio_egress.embedded.progress import Silent

V1 = """\
24 1 0:22 / / rw - ext4 /dev/sda rw
30 24 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
33 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
34 30 0:28 / /elsewhere rw - cgroup cgroup rw,cpu,cpuacct
"""


@pytest.fixture(autouse=True)
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has everything, whoever runs this test."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(prerequisites, "missing", lambda **_: Missing([], []))
    monkeypatch.setattr(prerequisites, "_kernel", lambda: None)
    monkeypatch.setattr(prerequisites, "_cgroups", lambda: None)
    monkeypatch.setattr(prerequisites, "check_inotify", lambda: None)
    monkeypatch.setattr(pwd, "getpwnam", lambda name: name)


def complaint(cache: Path, *, install_packages: bool = False) -> EmbeddedError:
    with pytest.raises(EmbeddedError) as raised:
        prerequisites.meet_prerequisites(Cache(cache), Silent(), install_packages=install_packages)
    assert "\n" not in str(raised.value)
    return raised.value


def test_a_machine_that_has_everything_is_let_through(tmp_path: Path) -> None:
    prerequisites.meet_prerequisites(Cache(tmp_path), Silent(), install_packages=False)


def test_too_few_inotify_instances(tmp_path: Path) -> None:
    for pid, kinds in (("1", ["inotify", "eventfd", "inotify"]), ("22", ["inotify"]), ("self", ["inotify"])):
        folder = tmp_path / pid / "fd"
        folder.mkdir(parents=True)
        for number, kind in enumerate(kinds):
            (folder / str(number)).symlink_to(f"anon_inode:{kind}")
    held = inotify.in_use(tmp_path)
    assert held == (3 if tmp_path.stat().st_uid == 0 else 0), "root's, of processes, and no other kind"
    inotify.check_inotify(held + inotify.NEEDED, tmp_path)
    with pytest.raises(EmbeddedError, match=f"{held} of {held + 1} inotify instances") as raised:
        inotify.check_inotify(held + 1, tmp_path)
    assert "max_user_instances" in (raised.value.remedy or "")


def test_another_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert "riscv64" in str(complaint(tmp_path))


def test_not_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    error = complaint(tmp_path)
    assert "root" in str(error)
    assert "sudo" in (error.remedy or "")


def test_missing_packages_are_named_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites, "missing", lambda **_: Missing(["ip", "runc"], ["iproute2", "runc"]))
    error = complaint(tmp_path)
    assert isinstance(error, MissingPackagesError)
    assert error.packages == ["iproute2", "runc"]
    assert "apt-get install" in (error.remedy or "")


def test_missing_packages_are_installed_when_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking, installed = [Missing(["runc"], ["runc"]), Missing([], [])], []
    monkeypatch.setattr(prerequisites, "missing", lambda **_: lacking.pop(0))
    monkeypatch.setattr(prerequisites, "install", lambda packages, _: installed.extend(packages))
    prerequisites.meet_prerequisites(Cache(tmp_path), Silent(), install_packages=True)
    assert installed == ["runc"]


def test_programs_are_looked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: None if name in {"runc", "mmdebstrap"} else name)
    monkeypatch.setattr(debian_packages, "cni_plugins", lambda: None)
    assert debian_packages.missing(to_build=False).packages == ["containernetworking-plugins", "runc"]
    assert "mmdebstrap" in debian_packages.missing(to_build=True).packages


def test_no_user_for_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", nobody)
    error = complaint(tmp_path)
    assert "_apt" in str(error)
    assert "useradd" in (error.remedy or "")


def test_no_cgroups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(cgroups, "here", list)
    with pytest.raises(EmbeddedError, match="no cgroups"):
        prerequisites._cgroups()


def test_a_cache_on_an_overlay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = f"none / ext4 rw 0 0\nnone {tmp_path} overlay rw 0 0\n"
    original = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda self, **more: mounts if str(self) == "/proc/mounts" else original(self, **more)
    )
    assert "overlay" in str(complaint(tmp_path / "cache"))


def test_a_name_that_cannot_name_a_cgroup() -> None:
    for name in ("", "A", "a/b", "a" * 33, "-a"):
        with pytest.raises(EmbeddedError, match="cluster name"):
            up(ClusterSpec(name=name))


def test_hierarchies_are_read_from_mountinfo() -> None:
    found = cgroups.hierarchies(V1)
    assert [(str(h.mount).rpartition("/")[2], h.version, h.options) for h in found] == [
        ("cpu,cpuacct", 1, "cpu,cpuacct"),
        ("systemd", 1, "xattr,name=systemd"),
        ("unified", 2, ""),
    ]


def test_a_chroot_is_told_from_a_root_that_is_a_mount() -> None:
    assert root_is_a_mount(V1)
    assert not root_is_a_mount("30 24 0:27 / /proc rw - proc proc rw\n")
