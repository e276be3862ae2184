"""The plugin's own hooks, for plugins that change what the pipeline does: demonstrations, and tests of the suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_istio_egress.pipeline.runner import CaseRunner


def pytest_istio_egress_runner(runner: CaseRunner) -> None:
    """Called once per worker with its new runner, before the first test.

    An implementation may set `runner.converge`, `runner.require_control`, `runner.change_mesh_config`,
    `runner.entering`, and the manifest filters of `runner.case_setup`.
    """
