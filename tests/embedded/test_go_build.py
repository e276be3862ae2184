"""A component is really built, by Go, from a folder that serves its modules."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_build import Replaced, build_component, replaced_in
from pytest_istio_egress.embedded.go_modules import Go
from pytest_istio_egress.embedded.versions import GoComponent

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


def said(built: Path) -> str:
    return subprocess.run([str(built / "tool")], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(("tag", "release"), [(None, "1.28-dev"), ("1.28.10", "1.28.10")])
@pytest.mark.usefixtures("served")
def test_a_refused_requirement_gives_way_and_is_noted(tmp_path: Path, tag: str | None, release: str) -> None:
    into = tmp_path / "into"
    into.mkdir()
    build_component(TOOL, Go(Path("go")), into, print, tag=tag)
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
        build_component(TOOL, Go(Path("go")), tmp_path, print)
