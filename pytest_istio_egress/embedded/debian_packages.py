"""The Debian packages that the cluster needs: which are missing, and their installation."""

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
    """`packages` are missing; a caller that shows this error may offer an option that installs them."""

    def __init__(self, what: list[str], packages: list[str]) -> None:
        names = " ".join(packages)
        super().__init__(
            f"this machine lacks {', '.join(what)} (Debian packages {names})",
            f"apt-get update && apt-get install --yes --no-install-recommends {names}",
        )
        self.packages = packages


@dataclass(frozen=True)
class Missing:
    """The missing programs, and the packages that contain them."""

    what: list[str]
    packages: list[str]


def missing(*, to_build: bool) -> Missing:
    """Return the missing programs and plugins; `to_build` includes those that only a build needs."""
    wanted = PROGRAMS | (TO_BUILD if to_build else {})
    found = {name: package for name, package in wanted.items() if shutil.which(name, path=SEARCH) is None}
    what, packages = list(found), set(found.values())
    if cni_plugins() is None:
        what.append(f"the CNI plugins {', '.join(CNI_PLUGINS)}")
        packages.add("containernetworking-plugins")
    return Missing(what, sorted(packages))


def cni_plugins() -> Path | None:
    """Return the folder with every CNI plugin of the cluster; None if there is none."""
    for folder in CNI_FOLDERS:
        if all((folder / plugin).is_file() for plugin in CNI_PLUGINS):
            return folder
    return None


def install(packages: list[str], progress: Progress) -> None:
    """Install the packages with apt-get, with an updated index if the first attempt fails.

    Raises EmbeddedError with the last line of apt-get.
    """
    step = f"apt-get install {' '.join(packages)}"
    if shutil.which("apt-get", path=SEARCH) is None:
        raise EmbeddedError(
            f"cannot install {' '.join(packages)}: this machine has no apt-get; install the "
            "programs with its own package manager"
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
