"""The tools that build parts: the cache, the display of progress, and a Go toolchain."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.go_build import build_component
from pytest_istio_egress.embedded.go_modules import Go, ModuleProxy
from pytest_istio_egress.embedded.go_toolchain import go_program
from pytest_istio_egress.embedded.progress import Progress
from pytest_istio_egress.embedded.versions import GoComponent, recipe_key, versions


@dataclass
class Workshop:
    """The cache, the display of progress, and a Go toolchain that is looked for only when something is built."""

    cache: Cache
    progress: Progress
    _go: Go | None = None

    @property
    def go(self) -> Go:
        """Find or download Go once."""
        if self._go is None:
            self._go = Go(go_program(self.cache, self.progress))
        return self._go

    def component(self, component: GoComponent, tag: str | None = None) -> Path:
        """Return the folder of the component's binaries, built if missing; `tag` is the release that they print."""
        step = f"{component.name} {tag or component.version}"

        def moved(detail: str) -> None:
            self.progress.moved(step, detail)

        def make(into: Path) -> None:
            build_component(component, self.go, into, moved, versions().substitutes, tag)

        return self.step(step, component.name, component_key(component, tag), make, "built")

    @contextmanager
    def module_proxy(self) -> Iterator[ModuleProxy]:
        """Yield the user's Go module proxy."""
        with tempfile.TemporaryDirectory() as folder:
            yield ModuleProxy(self.go, Path(folder))

    def step(self, step: str, kind: str, key: str, make: object, how: str) -> Path:
        """Take one entry from the cache or make it, and show that."""
        assert callable(make)
        cached = self.cache.has(kind, key)
        self.progress.started(step)
        entry = self.cache.get(kind, key, make)
        self.progress.finished(step, "cached" if cached else how)
        return entry


def component_key(component: GoComponent, tag: str | None = None) -> str:
    """Return the cache key of a Go component on this machine's architecture."""
    return recipe_key(component, platform.machine(), *([tag] if tag else []))
