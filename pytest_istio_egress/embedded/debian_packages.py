"""Knows which Debian package brings what the cluster needs, and installs what is missing when asked to."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_modules import last_line
from pytest_istio_egress.embedded.progress import Progress

SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
CNI_PLUGINS = ("ptp", "host-local", "portmap", "loopback")
PROGRAMS = {
    "ip": "iproute2",
    "iptables": "iptables",
    "iptables-restore": "iptables",
    "mount": "mount",
    "nft": "nftables",
    "runc": "runc",
    "setpriv": "util-linux",
    "umount": "mount",
    "unshare": "util-linux",
}
TO_BUILD = {"mmdebstrap": "mmdebstrap"}


class MissingPackagesError(EmbeddedError):
    """`packages` are missing; whoever shows this may offer its own way to have them installed."""

    def __init__(self, what: list[str], packages: list[str]) -> None:
        names = " ".join(packages)
        super().__init__(
            f"this machine lacks {', '.join(what)} (Debian packages {names})",
            f"apt-get update && apt-get install --yes --no-install-recommends {names}",
        )
        self.packages = packages


@dataclass(frozen=True)
class Missing:
    """What is not there, and the packages that bring it."""

    what: list[str]
    packages: list[str]


def missing(*, to_build: bool) -> Missing:
    """Look for the programs and plugins; `to_build` includes those that only the first start needs."""
    wanted = PROGRAMS | (TO_BUILD if to_build else {})
    found = {name: package for name, package in wanted.items() if shutil.which(name, path=SEARCH) is None}
    what, packages = list(found), set(found.values())
    if cni_plugins() is None:
        what.append(f"the CNI plugins {', '.join(CNI_PLUGINS)}")
        packages.add("containernetworking-plugins")
    return Missing(what, sorted(packages))


def cni_plugins() -> Path | None:
    """Return the folder that has every CNI plugin the cluster uses."""
    for folder in CNI_FOLDERS:
        if all((folder / plugin).is_file() for plugin in CNI_PLUGINS):
            return folder
    return None


def install(packages: list[str], progress: Progress) -> None:
    """Have apt-get install the packages, with a fresh index if the old one does not do.

    Raises EmbeddedError with apt-get's own words.
    """
    step = f"apt-get install {' '.join(packages)}"
    if shutil.which("apt-get", path=SEARCH) is None:
        raise EmbeddedError(
            f"there is no apt-get here to install {' '.join(packages)} with: install their like by hand"
        )
    progress.expect(1)
    progress.started(step)
    done = _apt_get("install", "--no-install-recommends", *packages)
    if done.returncode:
        progress.moved(step, "updating the package index")
        _apt_get("update")
        done = _apt_get("install", "--no-install-recommends", *packages)
    if done.returncode:
        raise EmbeddedError(f"apt-get could not install {' '.join(packages)}: {last_line(done.stderr)}", step)
    progress.finished(step, "installed")


def _apt_get(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["apt-get", "--yes", "--quiet", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": f"{os.environ.get('PATH', '')}:{SEARCH}"},
    )
