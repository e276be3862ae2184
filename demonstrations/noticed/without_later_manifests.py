"""A pytest plugin for noticed.py: a test's first manifests stay, and its later changes are left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from without_manifests import WORKLOADS, judge_parameters_separately

if TYPE_CHECKING:  # a plugin named by -p is loaded before the suite's own
    from pytest_istio_egress.pipeline.runner import CaseRunner


@pytest.hookimpl(optionalhook=True)
def pytest_istio_egress_runner(runner: CaseRunner) -> None:
    """Leave the later changes out, in every worker."""
    runner.case_setup.later_manifests = workloads
    runner.change_mesh_config = False
    judge_parameters_separately(runner)


def workloads(documents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return only the workloads, which later probes are sent from."""
    return [document for document in documents if document["kind"] in WORKLOADS]
