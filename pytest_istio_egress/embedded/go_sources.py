"""Fetches what a Go component is built from: its module, a wrapper module around it, and all modules that it needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Replaced:
    """A requirement that the module proxy does not serve, and the version that was built in its place."""

    module: str
    asked: str
    built: str


@dataclass(frozen=True)
class Sources:
    """The folder of the component's module in Go's module cache, and the files of the wrapper module by name."""

    folder: Path
    wrapper: dict[str, bytes]
    replaced: tuple[Replaced, ...]


def fetch_sources(
    component: GoComponent, go: Go, folder: Path, moved: Callable[[str], object], known: Substitutes
) -> Sources:
    """Download everything that the component is built from; `folder` is an empty one for the wrapper module.

    `moved` is called with the progress; `known` are the substitutes for requirements that the proxy does not serve.
    Raises EmbeddedError with the last line of the proxy, or of Go.
    """
    proxy = ModuleProxy(go, folder)
    moved("fetching the module")
    source = proxy.download(component.module, component.version)
    moved("resolving its requirements")
    go_mod = proxy.go_mod(source)
    stated = {**stated_replaces(go_mod, component.staging_version), **component.replace}
    refusals = refused(proxy, go_mod, stated)
    found = {name: version for name, version in substitutes_for(proxy, refusals, known).items() if name not in stated}
    (folder / "go.mod").write_text(_wrapper(component, {**stated, **found}), encoding="utf-8")
    if (source / "go.sum").is_file():  # the release's own hashes: the checksum database lacks some of them
        (folder / "go.sum").write_bytes((source / "go.sum").read_bytes())
    if component.main:
        (folder / "main.go").write_text(component.main, encoding="utf-8")
    moved("fetching the modules that it requires")
    _fetch_packages(component, go, folder)
    required = {entry["Path"]: entry["Version"] for entry in go_mod.get("Require") or []}
    return Sources(
        folder=source,
        wrapper={file.name: file.read_bytes() for file in folder.iterdir()},
        replaced=tuple(Replaced(name, required[name], version) for name, version in found.items() if name in required),
    )


def _fetch_packages(component: GoComponent, go: Go, folder: Path) -> None:
    """Load all packages of the component, which downloads their modules; `go build` would do it before it compiles."""
    packages = dict.fromkeys(component.binaries.values())
    done = go.run("list", "-deps", "-tags", ",".join(component.tags), "-f", "{{.Name}}", *packages, folder=folder)
    if done.returncode:
        raise failed(component, done.stderr.splitlines())


def failed(component: GoComponent, said: Sequence[str]) -> EmbeddedError:
    """Return the error for a build that failed, with the last lines of Go."""
    text = "\n".join(said)
    return unverified(text) or EmbeddedError(
        f"building {component.name} {component.version} failed: {last_line(text)}\n" + "\n".join(said[-15:])
    )


def _wrapper(component: GoComponent, replaces: dict[str, str]) -> str:
    lines = ["module embedded", "", "go 1.26", ""]
    lines += [f"replace {module} => {module} {version}" for module, version in sorted(replaces.items())]
    lines += ["", f"require {component.module} {component.version}", ""]
    return "\n".join(lines)


def release_of(component: GoComponent, source: Path) -> str:
    """Return the release that the binaries print."""
    if component.release_file is None or not re.match(r"v0\.0\.0-", component.version):
        return component.version
    return (source / component.release_file).read_text(encoding="utf-8").strip() + "-dev"
