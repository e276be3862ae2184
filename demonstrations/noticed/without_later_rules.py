"""A pytest plugin for noticed.py: takes away what a case applies or changes in its course; its first state stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from without_rules import WORKLOADS, count_alone, module, put, unchanged


def pytest_configure() -> None:
    """Take the later rules away, in every worker."""
    judge = module("judge")
    everything = judge.load

    def only_workloads(step: Callable[..., None]) -> Callable[..., None]:
        def run(self: Any, manifest: Any) -> None:
            judge.load = lambda files: [each for each in everything(files) if each["kind"] in WORKLOADS]
            try:
                step(self, manifest)
            finally:
                judge.load = everything

        return run

    put("judge", "Judge.add", only_workloads(judge.Judge.add))
    put("judge", "Judge.take_away", only_workloads(judge.Judge.take_away))
    put("judge", "Judge.mesh", unchanged)
    count_alone()
