"""The user's ztunnel, the node proxy of an ambient mesh, which no package registry has: its version, by running it."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.workshop import Workshop

VERSION = re.compile(r'version\.BuildInfo\{Version:"([^"]*)", GitRevision:"([^"]*)"')  # of `ztunnel version`
FOR_THIS_MACHINE = "use a ztunnel for this machine"
PATIENCE = 30.0  # seconds until it must have printed its version


@dataclass(frozen=True)
class Ztunnel:
    """A ztunnel: the file `ztunnel` in `folder`, an entry of the cache; `note` is a sentence for a report."""

    folder: Path
    note: str


def own_ztunnel(shop: Workshop, binary: Path) -> Ztunnel:
    """Return a copy of the user's ztunnel in the cache. Raises EmbeddedError where the file is not a ztunnel."""

    def make(into: Path) -> None:
        (into / "version").write_text(ask_version(binary), encoding="utf-8")
        shutil.copyfile(binary, into / "ztunnel")
        (into / "ztunnel").chmod(0o755)

    folder = shop.step(f"ztunnel {binary.name}", "ztunnel", ztunnel_fingerprint(binary), make, "copied")
    return Ztunnel(folder, f"the node proxy is {binary}, ztunnel {(folder / 'version').read_text(encoding='utf-8')}")


def ztunnel_fingerprint(binary: Path) -> str:
    """Return a hash of the content. Raises EmbeddedError where the path is not a file."""
    if not binary.is_file():
        raise EmbeddedError(f"ztunnel binary {str(binary)!r} is not a file: {FOR_THIS_MACHINE}")
    with binary.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]


def ask_version(binary: Path) -> str:
    """Run a ztunnel to read its version. Raises EmbeddedError where it does not print one."""
    remedy = f"{binary} version"
    try:
        done = subprocess.run(
            [str(binary), "version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = getattr(error, "strerror", None) or f"no response within {PATIENCE:.0f} s"
        raise EmbeddedError(
            f"ztunnel binary {str(binary)!r} cannot be run ({why}): {FOR_THIS_MACHINE}", remedy
        ) from error
    found = VERSION.search(done.stdout)
    if not found:
        said = done.stdout.strip().splitlines()
        last = f" (it printed: {said[-1][:120]})" if said else ""
        raise EmbeddedError(
            f"ztunnel binary {str(binary)!r} does not print ztunnel's version{last}: {FOR_THIS_MACHINE}", remedy
        )
    return found[1]
