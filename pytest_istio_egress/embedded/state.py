"""The state of each cluster on disk: a folder with its record, kubeconfig and logs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock
import platformdirs

from pytest_istio_egress.embedded.errors import EmbeddedError


def states_root() -> Path:
    """Return ISTIO_EGRESS_STATE, or the user's state directory."""
    chosen = os.environ.get("ISTIO_EGRESS_STATE")
    return Path(chosen).absolute() if chosen else Path(platformdirs.user_state_dir("pytest-istio-egress")) / "clusters"


def cluster_names() -> list[str]:
    """Return the names of all clusters that have a folder."""
    root = states_root()
    return sorted(folder.name for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []


@dataclass(frozen=True)
class Record:
    """The keeper of a cluster, and its versions. `phase` is starting, ready or ended; `why` is the reason of its end.

    `keeper_started` is the keeper's start time in clock ticks since boot: a pid alone may be reused.
    """

    name: str
    phase: str
    keeper: int
    keeper_started: int
    boot: str
    asked: dict[str, str]
    istio: str
    envoy: str
    kubernetes: str
    binaries: str
    notes: tuple[str, ...] = ()
    why: str = ""

    @property
    def alive(self) -> bool:
        """Whether the keeper still runs; the cluster ends with it."""
        return self.boot == boot_id() and started_at(self.keeper) == self.keeper_started


class State:
    """The folder of one cluster."""

    def __init__(self, name: str, root: Path | None = None) -> None:
        self.name = name
        self.folder = (root or states_root()) / name

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig for kubectl, istioctl and other clients on this machine."""
        return self.folder / "pki" / "kubeconfig"

    @property
    def logs(self) -> Path:
        """One file per component."""
        return self.folder / "logs"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the cluster: one process at a time starts or stops it."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.folder.parent / f".{self.name}.lock"):
            yield

    def record(self) -> Record | None:
        """Return the record, None where there is none."""
        try:
            data = json.loads((self.folder / "cluster.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise EmbeddedError(
                f"{self.folder}/cluster.json cannot be read: {error}", f"rm -r {self.folder}"
            ) from error
        return Record(**{**data, "notes": tuple(data["notes"])})

    def write(self, record: Record) -> None:
        """Replace the record as a whole."""
        beside = self.folder / "cluster.json.new"
        beside.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")
        beside.replace(self.folder / "cluster.json")

    def renew(self) -> None:
        """Empty the folder for a new cluster."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)
        self.logs.mkdir()
        (self.folder / "pki").mkdir(mode=0o700)

    def keep_logs_only(self) -> None:
        """Remove keys and plans of a cluster that ended by itself; its record and logs stay."""
        shutil.rmtree(self.folder / "pki", ignore_errors=True)
        (self.folder / "plan.json").unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


def boot_id() -> str:
    """Return the id of the current boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def started_at(pid: int) -> int | None:
    """Return a process' start time in ticks since boot; None when it does not run (or is a zombie)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
