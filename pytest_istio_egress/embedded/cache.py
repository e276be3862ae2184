"""The cache on disk: an entry is either complete or absent."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import platformdirs

from pytest_istio_egress.embedded.errors import EmbeddedError

FULL_DISK = {errno.ENOSPC, errno.EDQUOT}


def cache_root() -> Path:
    """Return ISTIO_EGRESS_CACHE, or the user's cache directory."""
    chosen = os.environ.get("ISTIO_EGRESS_CACHE")
    return Path(chosen).absolute() if chosen else Path(platformdirs.user_cache_dir("pytest-istio-egress"))


class Cache:
    """Entries are directories `<root>/<kind>/<key>`; each is made under a lock in a temporary folder, then renamed."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_root()

    def path(self, kind: str, key: str) -> Path:
        """Return the path of an entry, which need not exist."""
        return self.root / kind / key

    def has(self, kind: str, key: str) -> bool:
        """Return whether the entry exists; one that exists is complete."""
        return self.path(kind, key).is_dir()

    def get(self, kind: str, key: str, make: Callable[[Path], None]) -> Path:
        """Return the entry, calling `make(empty directory)` first if it does not exist.

        Raises EmbeddedError when the disk is full, and the errors of `make`; then no part of the entry remains.
        """
        place = self.path(kind, key)
        if place.is_dir():
            return place
        with full_disk_in_one_line(self.root):
            for folder in (place.parent, self.root / "unfinished", self.root / "locks"):
                folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            with filelock.FileLock(self._lock(f"{kind}-{key}")):
                if not place.is_dir():
                    self._make(self.root / "unfinished" / f"{kind}-{key}", place, make)
        return place

    def _lock(self, name: str) -> Path:
        return self.root / "locks" / f"{name}.lock"

    def _make(self, beside: Path, place: Path, make: Callable[[Path], None]) -> None:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        try:
            make(beside)
            _to_disk(beside)
            beside.rename(place)
            _sync_directory(place.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove the unfinished entries of killed builds: those whose lock no process holds."""
        for left in (self.root / "unfinished").iterdir():
            lock = filelock.FileLock(self._lock(left.name))
            try:
                with lock.acquire(timeout=0):
                    shutil.rmtree(left, ignore_errors=True)
            except filelock.Timeout:
                continue


@contextmanager
def full_disk_in_one_line(root: Path) -> Iterator[None]:
    """Raise EmbeddedError in place of the error of a full disk; other errors are not changed."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise no_space(root) from error


def no_space(root: Path) -> EmbeddedError:
    """Return the error for a full file system, with its remedy."""
    return EmbeddedError(
        f"no space left below {root}: the embedded cluster's parts and Go's build cache take about 8 GB",
        f"df -h {root}  # make room, or set ISTIO_EGRESS_CACHE (and GOCACHE) to a larger disk",
    )


def _to_disk(tree: Path) -> None:
    for folder, _, files in os.walk(tree):
        for name in files:
            file = Path(folder, name)
            if file.is_file() and not file.is_symlink():
                descriptor = os.open(file, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        _sync_directory(Path(folder))


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
