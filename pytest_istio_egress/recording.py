"""Puts a case's verdicts, and the evidence of what does not hold, on pytest's reports and into Allure's results."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_istio_egress.case import Case
from pytest_istio_egress.evidence import Verdict
from pytest_istio_egress.judge import Judge
from pytest_istio_egress.keeping import keep
from pytest_istio_egress.options import settings
from pytest_istio_egress.probe import CLIENT
from pytest_istio_egress.report.kept import evidence_folder
from pytest_istio_egress.report.record import record_of
from pytest_istio_egress.report.results import PROPERTY


class RecordVerdict:
    """Puts a verdict on the test's report, where xdist carries it to the controller; and into Allure's results."""

    def __init__(
        self, item: pytest.Item, judge: Judge, envoy_versions: Callable[[str], str], keeper: KeepEvidence
    ) -> None:
        self.item = item
        self.judge = judge
        self.envoy_versions = envoy_versions
        self.keeper = keeper

    def __call__(self, verdict: Verdict) -> None:
        """Record one verdict."""
        proxy = self.envoy_versions(verdict.probe.client if verdict.probe.literal else CLIENT)
        record = record_of(verdict, self.judge.names.plain, proxy)
        self.item.user_properties.append((PROPERTY, record))
        if wants_allure(self.item.config):
            from pytest_istio_egress.report.allure_steps import show

            show(record, {} if verdict.holds else self.keeper.files)


class KeepEvidence:
    """Gathers the evidence of one case, if anybody will read it; `files` are what it found, by name."""

    def __init__(self, item: pytest.Item, judge: Judge, case: Case) -> None:
        self.item = item
        self.judge = judge
        self.case = case
        self.files: dict[str, str] = {}

    def __call__(self, verdict: Verdict | None) -> None:
        """Gather it now; only the first time, for what comes later may come of that."""
        if not self.files and (evidence_folder(settings(self.item.config)) or wants_allure(self.item.config)):
            self.files = keep(self.judge, self.case, verdict)
            if verdict is None:
                self.attach()

    def attach(self) -> None:
        """Attach it to Allure's results, where those are asked for."""
        if wants_allure(self.item.config):
            from pytest_istio_egress.report.allure_steps import attach

            attach(self.files)


KEEPER = pytest.StashKey[KeepEvidence]()
"""On an item: who keeps the evidence of its case, once its pipeline has begun; failures.py puts it on the report."""


def wants_allure(config: pytest.Config) -> bool:
    """Whether Allure's results are asked for."""
    return bool(config.getoption("allure_report_dir", default=None))
