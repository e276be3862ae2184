"""Builds one Go component from its sources, in a wrapper module."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from pytest_istio_egress.embedded.cache import no_space
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_memory import collector_settings
from pytest_istio_egress.embedded.go_modules import Go
from pytest_istio_egress.embedded.go_sources import Replaced, Sources, failed, release_of
from pytest_istio_egress.embedded.versions import GoComponent

REPLACED = "replaced.json"
WITHOUT_DEBUGGING = "all=-dwarf=false"
"""The compiler leaves out what debuggers need; the linker (-s -w) would leave it out of the binaries anyway."""


def build_component(
    component: GoComponent,
    go: Go,
    into: Path,
    compiled: Callable[[int], object],
    sources: Sources,
    tag: str | None = None,
) -> None:
    """Write the component's binaries and files, and the files `release` and `replaced.json`, to the folder `into`.

    `compiled` is called with the number of packages so far; `tag` is the release that the binaries print. Raises
    EmbeddedError with the last line of the compiler.
    """
    module = into / "module"
    module.mkdir()
    for name, content in sources.wrapper.items():
        (module / name).write_bytes(content)
    release = tag or release_of(component, sources.folder)
    _compile(component, go, module, into, release, compiled)
    for name, path in component.keep.items():
        shutil.copyfile(sources.folder / path, into / name)
        (into / name).chmod(0o644)
    (into / REPLACED).write_text(json.dumps([asdict(entry) for entry in sources.replaced]), encoding="utf-8")
    (into / "release").write_text(release, encoding="utf-8")


def replaced_in(built: Path) -> tuple[Replaced, ...]:
    """Return the replaced requirements of a component that was built; empty for one that lacks the file."""
    file = built / REPLACED
    return tuple(Replaced(**entry) for entry in json.loads(file.read_bytes())) if file.is_file() else ()


def _compile(
    component: GoComponent, go: Go, module: Path, into: Path, release: str, compiled: Callable[[int], object]
) -> None:
    """Compile the component's packages; several binaries of one package are one file under several names."""
    names, packages = list(component.binaries), list(dict.fromkeys(component.binaries.values()))
    output = str(into / names[0]) if len(packages) == 1 else f"{into}/"
    said, failed_to_build = _run_compiler(_command(component, go, release, output, packages), go, module, compiled)
    if failed_to_build:
        raise no_space(into) if "no space left" in "\n".join(said) else failed(component, said)
    if len(packages) == 1:
        for name in names[1:]:
            (into / name).hardlink_to(into / names[0])
    missing = [name for name in names if not (into / name).is_file()]
    if missing:
        raise EmbeddedError(f"building {component.name} {component.version} produced no {missing[0]}")


def _command(component: GoComponent, go: Go, release: str, output: str, packages: Sequence[str]) -> list[str]:
    return [
        str(go.program),
        "build",
        "-v",
        "-trimpath",
        "-gcflags",
        WITHOUT_DEBUGGING,
        "-tags",
        ",".join(component.tags),
        "-ldflags",
        f"-s -w {_linked(component, release)}".strip(),
        "-o",
        output,
        *packages,
    ]


def _run_compiler(
    command: Sequence[str], go: Go, module: Path, compiled: Callable[[int], object]
) -> tuple[list[str], bool]:
    """Return the messages of the compiler, and whether it failed."""
    # With --pdeathsig the compiler ends with the process that started it.
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", *command],
        cwd=module,
        env={**collector_settings(os.environ), **go.environment()},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            said = _follow(process, compiled)
        except BaseException:
            process.terminate()
            raise
    return said, process.returncode != 0


def _linked(component: GoComponent, release: str) -> str:
    """Return the linker's options for the variables of the component."""
    _, major, minor, *_ = re.split(r"[v.]", component.version + "..")
    words = {"version": component.version, "major": major, "minor": minor, "release": release}
    return " ".join(f"-X {name}={value.format(**words)}" for name, value in component.variables.items())


def _follow(process: subprocess.Popen[str], compiled: Callable[[int], object]) -> list[str]:
    """Report how many packages `go build -v` has begun to compile; return its other lines."""
    packages, other = 0, []
    for line in process.stderr or ():
        text = line.rstrip()
        if " " in text or text.startswith("#"):
            other.append(text)
        else:
            packages += 1
            compiled(packages)
    return other
