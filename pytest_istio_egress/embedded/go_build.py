"""Builds one Go component from the module proxy in a wrapper module."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_istio_egress.embedded.cache import no_space
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_modules import (
    Go,
    ModuleProxy,
    last_line,
    refused,
    stated_replaces,
    substitutes_for,
    unverified,
)
from pytest_istio_egress.embedded.versions import GoComponent, Substitutes

REPLACED = "replaced.json"


@dataclass(frozen=True)
class Replaced:
    """A requirement that the module proxy does not serve, and the version that was built in its place."""

    module: str
    asked: str
    built: str


def build_component(
    component: GoComponent,
    go: Go,
    into: Path,
    moved: Callable[[str], object],
    known: Substitutes = Substitutes(),  # noqa: B008  # it is frozen
    tag: str | None = None,
) -> None:
    """Write the component's binaries and files, and the files `release` and `replaced.json`, to the folder `into`.

    `moved` is called with the progress of the compiler; `known` are the substitutes for requirements that the proxy
    does not serve; `tag` is the release that the binaries print. Raises EmbeddedError with the last line of the
    compiler or of the proxy.
    """
    module = into / "module"
    module.mkdir()
    proxy = ModuleProxy(go, module)
    moved("fetching the module")
    source = proxy.download(component.module, component.version)
    moved("resolving its requirements")
    go_mod = proxy.go_mod(source)
    stated = {**stated_replaces(go_mod, component.staging_version), **component.replace}
    refusals = refused(proxy, go_mod, stated)
    found = {name: version for name, version in substitutes_for(proxy, refusals, known).items() if name not in stated}
    (module / "go.mod").write_text(_wrapper(component, {**stated, **found}), encoding="utf-8")
    if (source / "go.sum").is_file():  # the release's own hashes: the checksum database lacks some of them
        (module / "go.sum").write_bytes((source / "go.sum").read_bytes())
    release = tag or _release(component, source)
    _compile(component, go, module, into, release, moved)
    for name, path in component.keep.items():
        shutil.copyfile(source / path, into / name)
        (into / name).chmod(0o644)
    required = {entry["Path"]: entry["Version"] for entry in go_mod.get("Require") or []}
    replaced = [Replaced(name, required[name], version) for name, version in found.items() if name in required]
    (into / REPLACED).write_text(json.dumps([asdict(entry) for entry in replaced]), encoding="utf-8")
    (into / "release").write_text(release, encoding="utf-8")


def replaced_in(built: Path) -> tuple[Replaced, ...]:
    """Return the replaced requirements of a component that was built; empty for one that lacks the file."""
    file = built / REPLACED
    return tuple(Replaced(**entry) for entry in json.loads(file.read_bytes())) if file.is_file() else ()


def _wrapper(component: GoComponent, replaces: dict[str, str]) -> str:
    lines = ["module embedded", "", "go 1.26", ""]
    lines += [f"replace {module} => {module} {version}" for module, version in sorted(replaces.items())]
    lines += ["", f"require {component.module} {component.version}", ""]
    return "\n".join(lines)


def _release(component: GoComponent, source: Path) -> str:
    """Return the release that the binaries print."""
    if component.release_file is None or not re.match(r"v0\.0\.0-", component.version):
        return component.version
    return (source / component.release_file).read_text(encoding="utf-8").strip() + "-dev"


def _compile(
    component: GoComponent, go: Go, module: Path, into: Path, release: str, moved: Callable[[str], object]
) -> None:
    _, major, minor, *_ = re.split(r"[v.]", component.version + "..")
    words = {"version": component.version, "major": major, "minor": minor, "release": release}
    linked = " ".join(f"-X {name}={value.format(**words)}" for name, value in component.variables.items())
    names = list(component.binaries)
    output = into / names[0] if len(names) == 1 else into
    command = [
        str(go.program),
        "build",
        "-v",
        "-trimpath",
        "-tags",
        ",".join(component.tags),
        "-ldflags",
        f"-s -w {linked}".strip(),
        "-o",
        f"{output}{'/' if output == into else ''}",
        *component.binaries.values(),
    ]
    # With --pdeathsig the compiler ends with the process that started it.
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", *command],
        cwd=module,
        env=go.environment(),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            said = _follow(process, moved)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        text = "\n".join(said)
        if "no space left" in text:
            raise no_space(into)
        raise unverified(text) or EmbeddedError(
            f"building {component.name} {component.version} failed: {last_line(text)}\n" + "\n".join(said[-15:])
        )
    missing = [name for name in names if not (into / name).is_file()]
    if missing:
        raise EmbeddedError(f"building {component.name} {component.version} produced no {missing[0]}")


def _follow(process: subprocess.Popen[str], moved: Callable[[str], object]) -> list[str]:
    """Report the packages that `go build -v` lists while it compiles; return its other lines."""
    compiled, other = 0, []
    for line in process.stderr or ():
        text = line.rstrip()
        if " " in text or text.startswith("#"):
            other.append(text)
            if text.startswith("go: downloading"):
                moved(f"fetching {text.split()[2]}")
        else:
            compiled += 1
            moved(f"{compiled} packages compiled")
    return other
