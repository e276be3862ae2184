"""Checks the kernel's limit of inotify instances per user, of which every cluster needs some."""

from __future__ import annotations

from pathlib import Path

from pytest_istio_egress.embedded.errors import EmbeddedError

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
NEEDED = 20
"""The instances that one cluster uses while cases run: kubelet 13 to 15, containerd 2, and a reserve."""


def check_inotify(limit: int | None = None, processes: Path = Path("/proc")) -> None:
    """Raise EmbeddedError where too few instances are left: containerd and kubelet would fail with unclear messages."""
    allowed = int(LIMIT.read_text(encoding="ascii")) if limit is None else limit
    used = in_use(processes)
    if used + NEEDED > allowed:
        wanted = max(1024, 2 * allowed)
        raise EmbeddedError(
            f"root uses {used} of {allowed} inotify instances, and a cluster needs up to {NEEDED}",
            f"sysctl fs.inotify.max_user_instances={wanted}  # or stop a cluster: istio-egress cluster status",
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
