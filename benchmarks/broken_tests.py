"""A pytest plugin for failing_runs.py: a share of the tests is set up without its rules, so that parameters fail.

The environment variable BROKEN_PERCENT is the share. Which tests these are follows from their names alone, so that runs
can be compared.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # a plugin named by -p is loaded before the suite's own
    from pytest_istio_egress.model.case import Case
    from pytest_istio_egress.pipeline.runner import CaseRunner

VARIABLE = "BROKEN_PERCENT"
RULES = ("networking.istio.io", "security.istio.io", "gateway.networking.k8s.io")


@pytest.hookimpl(optionalhook=True)
def pytest_istio_egress_runner(runner: CaseRunner) -> None:
    """Take the rules away from the chosen tests, in every worker."""
    setup, whole = runner.case_setup, runner.case_setup.first_manifests

    @contextmanager
    def entering(case: Case) -> Iterator[None]:
        setup.first_manifests = without_rules if is_broken(case) else whole
        yield

    runner.entering = entering


def is_broken(case: Case) -> bool:
    """Whether a test is one of the share."""
    return zlib.crc32(case.summary.encode()) % 100 < int(os.environ[VARIABLE])


def without_rules(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the documents without those of Istio and the Gateway API."""
    return [document for document in documents if document["apiVersion"].partition("/")[0] not in RULES]
