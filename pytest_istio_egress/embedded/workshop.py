"""The tools that build parts: the cache, the display of progress, and a Go toolchain."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.go_build import build_component
from pytest_istio_egress.embedded.go_modules import Go, ModuleProxy
from pytest_istio_egress.embedded.go_sources import Sources, fetch_sources
from pytest_istio_egress.embedded.go_toolchain import go_program
from pytest_istio_egress.embedded.progress import Progress
from pytest_istio_egress.embedded.versions import GoComponent, recipe_key, versions


@dataclass
class Workshop:
    """The cache, the display of progress, and a Go toolchain that is looked for only when something is built."""

    cache: Cache
    progress: Progress
    _go: Go | None = None
    _fetched: dict[str, Future[Sources]] = field(default_factory=dict)

    @property
    def go(self) -> Go:
        """Find or download Go once."""
        if self._go is None:
            self._go = Go(go_program(self.cache, self.progress))
        return self._go

    def lacks(self, component: GoComponent, tag: str | None = None) -> bool:
        """Return whether the component has to be built."""
        return not self.cache.has(component.name, component_key(component, tag))

    def fetch_ahead(self, components: Iterable[GoComponent], aside: Executor) -> None:
        """Begin to fetch the sources of these components, beside all else."""
        for component in components:
            # Go is looked for here, and not by two threads at once.
            self._fetched[component.name] = aside.submit(_sources, component, self.go, lambda _: None)

    def component(self, component: GoComponent, tag: str | None = None) -> Path:
        """Return the folder of the component's binaries, built if missing; `tag` is the release that they print."""
        step = step_of(component, tag)

        def fetching(detail: str) -> None:
            self.progress.moved(step, detail)

        def compiled(packages: int) -> None:
            self.progress.moved(step, *compiled_share(component.name, packages))

        def make(into: Path) -> None:
            if component.name in self._fetched:
                fetching("fetching its modules")
                sources = self._fetched[component.name].result()
            else:
                sources = _sources(component, self.go, fetching)
            build_component(component, self.go, into, compiled, sources, tag)

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


def _sources(component: GoComponent, go: Go, moved: object) -> Sources:
    assert callable(moved)
    with tempfile.TemporaryDirectory() as folder:
        return fetch_sources(component, go, Path(folder), moved, versions().substitutes)


def compiled_share(name: str, packages: int) -> tuple[str, float]:
    """Return how many packages of a component are compiled, as a text and as a share; the sum is a recorded one."""
    recorded = versions().recorded.get(name)
    if recorded is None or packages > recorded.packages:
        return f"{packages} packages compiled", 0.99
    return f"{packages} of about {recorded.packages} packages compiled", packages / recorded.packages


def step_of(component: GoComponent, tag: str | None = None) -> str:
    """Return the name of the step that builds a component."""
    return f"{component.name} {tag or component.version}"


def component_key(component: GoComponent, tag: str | None = None) -> str:
    """Return the cache key of a Go component on this machine's architecture."""
    return recipe_key(component, platform.machine(), *([tag] if tag else []))
