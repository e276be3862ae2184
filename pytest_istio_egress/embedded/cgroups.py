"""Creates one cgroup per cluster in every hierarchy, and removes it when its processes have ended.

That cgroup is the root of the node's cgroup namespace: all cgroups of its components are below it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Hierarchy:
    """One mounted cgroup hierarchy; `options` are those of its mount, such as "cpu,cpuacct"."""

    mount: Path
    version: int
    options: str


def hierarchies(mountinfo: str) -> list[Hierarchy]:
    """Return the hierarchies in the text of /proc/self/mountinfo; of one that is mounted twice, the first."""
    found: dict[tuple[int, str], Hierarchy] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, super_options = after.split(" ", 2)
        if kind in {"cgroup", "cgroup2"}:
            mount = Path(before.split()[4].replace("\\040", " "))
            options = ",".join(word for word in super_options.split(",") if word not in {"rw", "ro"})
            version = 2 if kind == "cgroup2" else 1
            key = (version, options if version == 1 else "")
            found.setdefault(key, Hierarchy(mount, version, options))
    return list(found.values())


def here() -> list[Hierarchy]:
    """Return the hierarchies of this process' mount namespace."""
    return hierarchies(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))


def cgroup_folders(name: str) -> tuple[Path, ...]:
    """Return the folders of the cgroups of cluster `name`.

    In version 1 they are below the caller's own, so that its limits apply. In version 2 a cgroup with processes
    cannot have limited children, so they are at the top.
    """
    own = _own_cgroups()
    folders = []
    for hierarchy in here():
        parent = hierarchy.mount
        if hierarchy.version == 1:
            nested = hierarchy.mount / own.get(frozenset(hierarchy.options.split(",")), "").lstrip("/")
            parent = nested if nested.is_dir() else parent
        folders.append(parent / f"istio-egress-{name}")
    return tuple(folders)


def _own_cgroups() -> dict[frozenset[str], str]:
    """Map the controllers of each version 1 hierarchy to this process' cgroup in it."""
    lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    fields = [line.split(":", 2) for line in lines]
    return {frozenset(controllers.split(",")): path for _, controllers, path in fields}


def make_cgroups(folders: Iterable[Path]) -> None:
    """Make the cgroups, ready for processes and for children with limits."""
    for folder in folders:
        folder.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):  # version 1 accepts no process before these are set
            file = folder / setting
            if file.is_file() and not file.read_text(encoding="ascii").strip():
                with contextlib.suppress(OSError):
                    file.write_text((folder.parent / setting).read_text(encoding="ascii"), encoding="ascii")
        if (folder.parent / "cgroup.controllers").is_file():
            _delegate(folder.parent)


def _delegate(folder: Path) -> None:
    """Enable all controllers that this machine allows for the children of a version 2 cgroup."""
    for controller in (folder / "cgroup.controllers").read_text(encoding="ascii").split():
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")


def enter_cgroups(folders: Iterable[Path]) -> None:
    """Move the calling process into the cgroups."""
    for folder in folders:
        (folder / "cgroup.procs").write_text("0", encoding="ascii")


def mount_own_cgroups() -> None:
    """Mount the cgroup file systems of the node; called in its mount and cgroup namespaces."""
    found = here()
    for hierarchy in reversed(found):
        subprocess.run(["umount", str(hierarchy.mount)], check=True)
    for hierarchy in found:
        kind = (
            ["-t", "cgroup2"] if hierarchy.version == 2 else ["-t", "cgroup", "-o", _mount_options(hierarchy.options)]
        )
        subprocess.run(["mount", *kind, "cgroup", str(hierarchy.mount)], check=True)
        if hierarchy.version == 2:
            # A version 2 cgroup with processes cannot limit its children, so the components get a leaf.
            leaf = hierarchy.mount / "components"
            leaf.mkdir(exist_ok=True)
            for process in (hierarchy.mount / "cgroup.procs").read_text(encoding="ascii").split():
                (leaf / "cgroup.procs").write_text(process, encoding="ascii")


def _mount_options(options: str) -> str:
    """A hierarchy with a name instead of controllers is mounted with "none"."""
    words = [word for word in options.split(",") if word not in {"xattr"} and not word.startswith("release_agent")]
    return ",".join(["none", *words] if all(word.startswith("name=") for word in words) else words)


def remove_cgroups(folders: Iterable[Path], patience: float = 10.0) -> list[Path]:
    """Remove the cgroups once killed processes have ended; return those that cannot be removed."""
    left = list(folders)
    deadline = time.monotonic() + patience
    while left := [folder for folder in left if not _removed(folder)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return left


def _removed(folder: Path) -> bool:
    """Remove one tree from its leaves up: a cgroup's files go with it, so only directories count."""
    for child, _, _ in os.walk(folder, topdown=False):
        try:
            Path(child).rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno in {errno.EBUSY, errno.ENOTEMPTY}:
                return False
            raise
    return True
