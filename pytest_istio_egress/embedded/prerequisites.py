"""Checks before a start whether this machine can run a cluster; an error states the command that corrects it."""

from __future__ import annotations

import os
import platform
import pwd
import subprocess
from pathlib import Path

from pytest_istio_egress.embedded import cgroups
from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.debian_packages import SEARCH, MissingPackagesError, install, missing
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.images import ARCHITECTURES
from pytest_istio_egress.embedded.inotify import check_inotify
from pytest_istio_egress.embedded.isolation import isolated
from pytest_istio_egress.embedded.progress import Progress
from pytest_istio_egress.embedded.root_filesystem import root_filesystem_key
from pytest_istio_egress.embedded.versions import versions

# The steps of the node, tried in namespaces that end at once. A step that fails prints its command.
TRIAL = """
try() { "$@" > /dev/null 2>&1 || { echo "$*" >&2; exit 1; }; }
try mount -t tmpfs tmpfs /run
try ip link add node0 type bridge
try ip link add pod0 type veth peer name pod1
try iptables -t nat -L -n
try nft list tables
"""


def meet_prerequisites(cache: Cache, progress: Progress, *, install_packages: bool) -> None:
    """Raise EmbeddedError with one sentence and its remedy for the first thing that is missing.

    With `install_packages` missing Debian packages are installed instead.
    """
    _machine()
    _rights()
    to_build = not cache.has("root", root_filesystem_key(versions().root_packages))
    if (lacking := missing(to_build=to_build)).packages:
        if not install_packages:
            raise MissingPackagesError(lacking.what, lacking.packages)
        install(lacking.packages, progress)
        if (still := missing(to_build=to_build)).packages:
            raise MissingPackagesError(still.what, still.packages)
    if to_build:
        _apt_user()
    _cgroups()
    _kernel()
    check_inotify()
    _file_system(cache.root)


def _machine() -> None:
    if platform.system() != "Linux" or platform.machine() not in ARCHITECTURES:
        raise EmbeddedError(
            f"the embedded cluster runs on Linux on {' or '.join(ARCHITECTURES)}, not on"
            f" {platform.system()} on {platform.machine()}",
            "pytest --istio-egress --istio-egress-context NAME  # use a cluster elsewhere",
        )


def _rights() -> None:
    if os.geteuid() != 0:
        raise EmbeddedError(
            "the embedded cluster needs root: it creates namespaces and mounts", "sudo -E env PATH=$PATH ..."
        )


def _apt_user() -> None:
    """Check for the user _apt, to which apt switches for downloads; minimal root file systems may lack it."""
    try:
        pwd.getpwnam("_apt")
    except KeyError:
        raise EmbeddedError(
            "this machine lacks the user _apt, as which apt downloads packages",
            "useradd --system --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin _apt",
        ) from None


def _cgroups() -> None:
    found = cgroups.here()
    if not found:
        raise EmbeddedError("no cgroups are mounted on this machine", "mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    for hierarchy in found:
        if not os.access(hierarchy.mount, os.W_OK):
            raise EmbeddedError(f"{hierarchy.mount} is read-only", f"mount -o remount,rw {hierarchy.mount}")


def _kernel() -> None:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        raise EmbeddedError(
            f"kernel {platform.release()} is too old: the embedded cluster needs 5.4 or newer"
        ) from None
    if not _has_overlay():
        raise EmbeddedError("this kernel has no overlay file system", "modprobe overlay")
    tried = subprocess.run(
        isolated("sh", "-c", TRIAL, also=("--cgroup",)),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        env={**os.environ, "PATH": SEARCH},
    )
    if tried.returncode:
        said = tried.stderr.strip().splitlines() or ["no reason given"]
        raise EmbeddedError(
            f"root is not allowed to set up a node in new namespaces on this machine ({said[-1]})",
            "run in a virtual machine, or in a privileged container",
        )


def _has_overlay() -> bool:
    def listed() -> bool:
        return "\toverlay\n" in Path("/proc/filesystems").read_text(encoding="ascii")

    if not listed():
        subprocess.run(["modprobe", "overlay"], capture_output=True, check=False, env={"PATH": SEARCH})
    return listed()


def _file_system(cache: Path) -> None:
    """Check that images can be unpacked into the cache: not on an overlay, such as the root of a container."""
    place = next(folder for folder in (cache, *cache.parents) if folder.exists())
    mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    below = [mount for mount in mounts if place.is_relative_to(mount[1])]
    if below and max(below, key=lambda mount: len(Path(mount[1]).parts))[2] == "overlay":
        raise EmbeddedError(
            f"the cache {cache} is on an overlay file system, on which images cannot be unpacked",
            "export ISTIO_EGRESS_CACHE=/a/folder/on/another/file/system  # such as a volume",
        )
