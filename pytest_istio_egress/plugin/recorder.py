"""Attaches a test's verdicts, and the evidence of its failures, to pytest's reports and Allure's results."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.probe import CLIENT
from pytest_istio_egress.pipeline.evidence_files import collect_evidence
from pytest_istio_egress.pipeline.runner import CaseRunner
from pytest_istio_egress.plugin.stash import SETTINGS
from pytest_istio_egress.report.evidence_folder import evidence_folder
from pytest_istio_egress.report.results import PROPERTY
from pytest_istio_egress.verdict.record import record_of
from pytest_istio_egress.verdict.verdict import Verdict


class VerdictRecorder:
    """Attaches a verdict to the test's report, which xdist carries to the controller, and to Allure's results."""

    def __init__(
        self, item: pytest.Item, runner: CaseRunner, envoy_versions: Callable[[str], str], collector: EvidenceCollector
    ) -> None:
        self.item = item
        self.runner = runner
        self.envoy_versions = envoy_versions
        self.collector = collector

    def __call__(self, verdict: Verdict) -> None:
        """Record one verdict."""
        proxy = self.envoy_versions(verdict.probe.client if verdict.probe.from_own_workload else CLIENT)
        record = record_of(verdict, self.runner.context.names.unrender, proxy)
        self.item.user_properties.append((PROPERTY, record))
        if wants_allure(self.item.config):
            from pytest_istio_egress.report.allure_steps import show

            show(record, {} if verdict.passed else self.collector.files)


class EvidenceCollector:
    """Collects the evidence of one test, if a report or Allure needs it; `files` are the texts by file name."""

    def __init__(self, item: pytest.Item, runner: CaseRunner, case: Case) -> None:
        self.item = item
        self.runner = runner
        self.case = case
        self.files: Mapping[str, str] = {}

    def __call__(self, verdict: Verdict | None) -> None:
        """Collect it now, but only once: a later failure may be a consequence of the first."""
        config = self.item.config
        settings = config.stash[SETTINGS]
        if not self.files and (evidence_folder(settings.report, settings.html) or wants_allure(config)):
            self.files = collect_evidence(self.runner.context, self.runner.case_setup, self.case, verdict)
            if verdict is None:
                self.attach()

    def attach(self) -> None:
        """Attach it to Allure's results, if --alluredir is given."""
        if wants_allure(self.item.config):
            from pytest_istio_egress.report.allure_steps import attach

            attach(self.files)


def wants_allure(config: pytest.Config) -> bool:
    """Whether --alluredir is given."""
    return bool(config.getoption("allure_report_dir", default=None))
