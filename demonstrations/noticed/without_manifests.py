"""A pytest plugin for noticed.py: runs every test without its manifests and without its changes of the mesh."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # a plugin named by -p is loaded before the suite's own
    from pytest_istio_egress.pipeline.runner import CaseRunner

WORKLOADS = frozenset({"Deployment", "ServiceAccount", "Role", "RoleBinding"})
"""A test's own clients, and what they need to run."""
CONVERGE = 2.0
"""Seconds in which a parameter that fails is probed again: nothing changes any more, so retries are of no use."""


@pytest.hookimpl(optionalhook=True)
def pytest_istio_egress_runner(runner: CaseRunner) -> None:
    """Remove the manifests, in every worker."""
    runner.case_setup.first_manifests = without_rules
    runner.case_setup.later_manifests = without_rules
    runner.change_mesh_config = False
    judge_parameters_separately(runner)


def judge_parameters_separately(runner: CaseRunner) -> None:
    """Have each parameter pass or fail by itself, and soon.

    A block must fail for its own missing rule, not because the control beside it has lost its rule as well.
    """
    runner.require_control = False
    runner.converge = CONVERGE


def without_rules(documents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the documents that only support a test; everything else is what the test is about.

    A Service that selects pods is a destination inside the mesh, and stays. One that leads out of the mesh (by an
    external name, or to Endpoints) is what its test is about. Istio's annotations are removed from the workloads.
    """
    supporting = [document for document in documents if document["kind"] in WORKLOADS or _selects_pods(document)]
    for document in supporting:
        metadata = document.get("spec", {}).get("template", {}).get("metadata", {})
        if "annotations" in metadata:
            metadata["annotations"] = {
                name: value for name, value in metadata["annotations"].items() if "istio.io/" not in name
            }
    return supporting


def _selects_pods(document: dict[str, Any]) -> bool:
    return document["kind"] == "Service" and "selector" in document["spec"]
