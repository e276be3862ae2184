"""A module proxy that serves what a test tells it to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from pytest_istio_egress.embedded.go_modules import ModuleProxy

Served = dict[tuple[str, str], tuple[str, str]]
"""(module, what is asked) -> (version, time)."""


class StandIn:
    """The questions that ModuleProxy answers, answered from what a test says."""

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
