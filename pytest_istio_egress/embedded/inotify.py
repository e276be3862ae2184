"""Counts the kernel's inotify instances: each user has a number of them, and every cluster takes its share."""

from __future__ import annotations

from pathlib import Path

from pytest_istio_egress.embedded.errors import EmbeddedError

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
NEEDED = 20
"""What root's part of one cluster takes while cases run: kubelet 13 to 15, containerd 2, and some to spare."""


def check_inotify(limit: int | None = None, processes: Path = Path("/proc")) -> None:
    """Raise EmbeddedError where too few instances are left: containerd and kubelet would fail in their own words."""
    allowed = int(LIMIT.read_text(encoding="ascii")) if limit is None else limit
    used = in_use(processes)
    if used + NEEDED > allowed:
        wanted = max(1024, 2 * allowed)
        raise EmbeddedError(
            f"root has {used} of {allowed} inotify instances in use, and a cluster takes up to {NEEDED}",
            f"sysctl fs.inotify.max_user_instances={wanted}  # or end a cluster: istio-egress cluster status",
        )


def in_use(processes: Path = Path("/proc")) -> int:
    """Return how many inotify instances root's processes hold."""
    return sum(_held_by(process) for process in processes.iterdir() if process.name.isdigit())


def _held_by(process: Path) -> int:
    try:
        if process.stat().st_uid != 0:
            return 0
        return sum(str(descriptor.readlink()) == "anon_inode:inotify" for descriptor in (process / "fd").iterdir())
    except OSError:
        return 0  # it has just ended
