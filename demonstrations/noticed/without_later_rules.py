"""A pytest plugin for noticed.py: takes away what a case applies or changes in its course; its first state stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from without_rules import WORKLOADS, count_alone, module, put, unchanged


def pytest_configure() -> None:
    """Take the later rules away, in every worker."""
    case_setup = module("staging")
    everything = case_setup.load

    def only_workloads(step: Callable[..., None]) -> Callable[..., None]:
        def run(self: Any, manifest: Any) -> None:
            case_setup.load = lambda files: [each for each in everything(files) if each["kind"] in WORKLOADS]
            try:
                step(self, manifest)
            finally:
                case_setup.load = everything

        return run

    put("staging", "Staging.add", only_workloads(case_setup.CaseSetup.add))
    put("staging", "Staging.take_away", only_workloads(case_setup.CaseSetup.take_away))
    put("judge", "Judge.mesh", unchanged)
    count_alone()
