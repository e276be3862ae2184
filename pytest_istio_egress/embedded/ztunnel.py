"""The user's ztunnel, the node proxy of an ambient mesh, which no package registry has: its version, by running it."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from pytest_istio_egress.embedded.user_binary import UserBinary
from pytest_istio_egress.embedded.workshop import Workshop

VERSION = re.compile(r'version\.BuildInfo\{Version:"([^"]*)", GitRevision:"([^"]*)"')  # of `ztunnel version`
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
    return _ztunnel(binary).fingerprint()


def ask_version(binary: Path) -> str:
    """Run a ztunnel to read its version. Raises EmbeddedError where it does not print one."""
    ztunnel = _ztunnel(binary)
    printed = ztunnel.output("version")
    found = VERSION.search(printed)
    if not found:
        said = printed.strip().splitlines()
        last = f" (it printed: {said[-1][:120]})" if said else ""
        raise ztunnel.error(f"does not print ztunnel's version{last}")
    return found[1]


def _ztunnel(binary: Path) -> UserBinary:
    return UserBinary(binary, "ztunnel binary", "use a ztunnel for this machine", "version", PATIENCE)
