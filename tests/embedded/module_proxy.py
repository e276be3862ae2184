"""A module proxy with the content that a test defines: a stand-in for `ModuleProxy`, and a folder that Go reads."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest

from pytest_istio_egress.embedded.go_modules import ModuleProxy

Served = dict[tuple[str, str], tuple[str, str]]
"""(module, query) -> (version, time)."""

needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="there is no go on PATH")


class StandIn:
    """The queries of ModuleProxy, with the results that a test defines."""

    def __init__(self, served: Served, tags: dict[str, list[str]] | None = None) -> None:
        self._served = served
        self._tags = tags or {}

    def resolve(self, module: str, version: str) -> tuple[str, str] | None:
        return self._served.get((module, version))

    def served(self, asked: Sequence[tuple[str, str]]) -> list[tuple[str, str] | None]:
        return [self._served.get(name) for name in asked]

    def tagged(self, module: str) -> list[str]:
        return self._tags.get(module, [])


def proxy(served: Served, tags: dict[str, list[str]] | None = None) -> ModuleProxy:
    """Return a module proxy that serves just this."""
    return cast(ModuleProxy, StandIn(served, tags))


class FolderProxy:
    """A folder laid out as the protocol of Go's module proxies has it; GOPROXY may name it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def serve(
        self,
        module: str,
        version: str,
        files: Mapping[str, str] | None = None,
        *,
        time: str = "2026-01-01T00:00:00Z",
        names: Sequence[str] = (),
        listed: bool = True,
    ) -> None:
        """Serve a version of a module, with its files beside go.mod, under its own name and others."""
        place = self.folder / module / "@v"
        place.mkdir(parents=True, exist_ok=True)
        content = {"go.mod": f"module {module}\n\ngo 1.21\n", **(files or {})}
        if listed:
            with (place / "list").open("a", encoding="utf-8") as versions:
                versions.write(f"{version}\n")
        for name in (version, *names):
            (place / f"{name}.info").write_text(json.dumps({"Version": version, "Time": time}), encoding="utf-8")
        (place / f"{version}.mod").write_text(content["go.mod"], encoding="utf-8")
        with zipfile.ZipFile(place / f"{version}.zip", "w") as archive:
            for path, text in content.items():
                archive.writestr(f"{module}@{version}/{path}", text)
