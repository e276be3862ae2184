"""A pytest plugin for noticed.py: takes away what a case applies or changes in its course; its first state stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from without_rules import WORKLOADS, count_alone, module, put, unchanged


def pytest_configure() -> None:
    """Take the later rules away, in every worker."""
    staging = module("staging")
    everything = staging.load

    def only_workloads(step: Callable[..., None]) -> Callable[..., None]:
        def run(self: Any, manifest: Any) -> None:
            staging.load = lambda files: [each for each in everything(files) if each["kind"] in WORKLOADS]
            try:
                step(self, manifest)
            finally:
                staging.load = everything

        return run

    put("staging", "Staging.add", only_workloads(staging.Staging.add))
    put("staging", "Staging.take_away", only_workloads(staging.Staging.take_away))
    put("judge", "Judge.mesh", unchanged)
    count_alone()
