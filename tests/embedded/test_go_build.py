"""A component is really built, by Go, from a folder that serves its modules."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_build import build_component, replaced_in
from pytest_istio_egress.embedded.go_modules import Go
from pytest_istio_egress.embedded.go_sources import Replaced, fetch_sources
from pytest_istio_egress.embedded.versions import GoComponent, Substitutes

from .module_proxy import FolderProxy, needs_go

pytestmark = needs_go
PSEUDO = "v0.0.0-20260629163924-ff49c1889eba"
MAIN = """package main

import ("os"; "x.test/lib")

var release string

func main() { os.Stdout.WriteString(release + " with " + lib.Version + "\\n") }
"""
TOOL = GoComponent(
    "tool",
    "x.test/tool",
    PSEUDO,
    {"tool": "x.test/tool"},
    variables={"main.release": "{release}"},
    release_file="VERSION",
    keep={"kept": "files/kept"},
)


@pytest.fixture
def served(folder_proxy: FolderProxy) -> FolderProxy:
    """A tool that requires version 1.0.1 of a library, of which there are 1.0.0 and 1.0.2."""
    for version in ("v1.0.0", "v1.0.2"):
        folder_proxy.serve("x.test/lib", version, {"lib.go": f'package lib\n\nconst Version = "{version}"\n'})
    go_mod = "module x.test/tool\n\ngo 1.21\n\nrequire x.test/lib v1.0.1\n"
    files = {"go.mod": go_mod, "main.go": MAIN, "VERSION": "1.28\n", "files/kept": "kept"}
    folder_proxy.serve("x.test/tool", PSEUDO, files, listed=False)
    return folder_proxy


def built(component: GoComponent, folder: Path, tag: str | None = None) -> Path:
    (folder / "wrapper").mkdir()
    sources = fetch_sources(component, Go(Path("go")), folder / "wrapper", print, Substitutes())
    into = folder / "into"
    into.mkdir()
    build_component(component, Go(Path("go")), into, print, sources, tag)
    return into


def said(built: Path, name: str = "tool") -> str:
    return subprocess.run([str(built / name)], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(("tag", "release"), [(None, "1.28-dev"), ("1.28.10", "1.28.10")])
@pytest.mark.usefixtures("served")
def test_a_refused_requirement_gives_way_and_is_noted(tmp_path: Path, tag: str | None, release: str) -> None:
    into = built(TOOL, tmp_path, tag)
    assert said(into) == f"{release} with v1.0.2"
    assert replaced_in(into) == (Replaced("x.test/lib", "v1.0.1", "v1.0.2"),)
    assert (into / "release").read_text(encoding="utf-8") == release
    assert (into / "kept").read_text(encoding="utf-8") == "kept"


def test_a_component_of_an_earlier_version_does_not_say(tmp_path: Path) -> None:
    assert replaced_in(tmp_path) == ()


def test_the_modules_own_hashes_hold(served: FolderProxy, tmp_path: Path) -> None:
    go_mod = "module x.test/tool\n\ngo 1.21\n\nrequire x.test/lib v1.0.2\n"
    wrong = "x.test/lib v1.0.2 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
    files = {"go.mod": go_mod, "go.sum": wrong, "main.go": MAIN, "VERSION": "1.28\n", "files/kept": "kept"}
    served.serve("x.test/tool", PSEUDO, files, listed=False)
    with pytest.raises(EmbeddedError, match=r"building tool .* failed"):
        built(TOOL, tmp_path)


MAIN_OF_OURS = """package main

import ("os"; "path/filepath"; "x.test/lib")

var release string

func main() { os.Stdout.WriteString(filepath.Base(os.Args[0]) + " " + release + " with " + lib.Version + "\\n") }
"""


@pytest.mark.usefixtures("served")
def test_a_command_of_ours_is_built_once_and_knows_the_name_it_was_started_by(tmp_path: Path) -> None:
    both = dataclasses.replace(TOOL, binaries={"one": "embedded", "other": "embedded"}, main=MAIN_OF_OURS)
    into = built(both, tmp_path)
    assert said(into, "one") == "one 1.28-dev with v1.0.2"
    assert said(into, "other") == "other 1.28-dev with v1.0.2"
    assert (into / "one").samefile(into / "other")


def test_a_main_that_imports_what_is_not_there_is_one_line(served: FolderProxy, tmp_path: Path) -> None:
    del served
    wrong = dataclasses.replace(TOOL, binaries={"tool": "embedded"}, main='package main\n\nimport _ "x.test/none"\n')
    with pytest.raises(EmbeddedError, match=r"building tool .* failed: .*x\.test/none"):
        built(wrong, tmp_path)
