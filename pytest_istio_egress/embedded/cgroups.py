"""Removes the cgroups that a cluster's pods leave when their processes are killed."""

from __future__ import annotations

import os
import time
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")


def cgroup_folders(name: str) -> list[Path]:
    """Return the folders of cluster `name`, one per hierarchy that has one."""
    places = [MOUNT, *(child for child in MOUNT.iterdir() if child.is_dir())] if MOUNT.is_dir() else []
    return [folder for place in places if (folder := place / f"istio-egress-{name}").is_dir()]


def remove_cgroups(name: str, patience: float = 10.0) -> list[Path]:
    """Remove them all, waiting for killed processes to be gone; return those that would not go."""
    deadline = time.monotonic() + patience
    while True:
        left = [folder for folder in cgroup_folders(name) if not _removed(folder)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def _removed(folder: Path) -> bool:
    """Remove one tree from its leaves up: a cgroup's files go with it, so only directories count."""
    for child, _, _ in os.walk(folder, topdown=False):
        try:
            Path(child).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True
