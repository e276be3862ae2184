"""Loaded with `-p stand_in -p fake_probes`: the plugin's real fixtures and pipeline, whose probes have given results.

FAKE_PROBES is JSON: by the end of a URL the results (passed, failed, error) of its probes, one after the other; the
last one is repeated. A URL that is not named passes. NOTES has a line for each probe that was sent. FAKE_LOG_PROBLEM is
why the log of the suite's own clients cannot serve.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from fake_cluster import (
    FakeApplier,
    FakeEnvironment,
    FakeProber,
    FakeProxySync,
    answer_to,
    case_setup,
    worker_context,
)
from stand_in import note  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.model.case import InvalidTestError
from pytest_istio_egress.model.mesh_facts import Fact, MeshFacts
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.pipeline.runner import CaseRunner
from pytest_istio_egress.plugin import fixtures
from pytest_istio_egress.verdict.verdict import Answer, Expectation, NoVerdict

RESULTS: dict[str, list[str]] = json.loads(os.environ.get("FAKE_PROBES", "{}"))


class Prober(FakeProber):
    """Gives each URL its own results."""

    def verify(self, expectations: Sequence[Expectation], attempt: int, own_at_once: int) -> list[Answer]:
        note(f"round {attempt} {own_at_once}")
        return [self._answer(expectation) for expectation in expectations]

    def _answer(self, expectation: Expectation) -> Answer:
        probe, expected = expectation
        note(f"probe {probe.url}")
        if "deployment/paymets" in probe.client:
            error = InvalidTestError("namespace payments has no deployment paymets")
            return NoVerdict(probe=probe, expected=expected, error=error)
        results = next((left for end, left in RESULTS.items() if probe.url.endswith(end)), ["passed"])
        answer: Answer = answer_to(expectation, results.pop(0) if len(results) > 1 else results[0])
        return answer


def runner(_: WorkerContext) -> CaseRunner:
    environment = FakeEnvironment()
    problem = os.environ.get("FAKE_LOG_PROBLEM", "")
    environment.additions = replace(environment.additions, log_problem=lambda _: problem)
    context = worker_context(environment)
    interference = SimpleNamespace(begin=lambda: None, detect=lambda: None, unsettled_until=0.0)
    inspector = SimpleNamespace(explained=lambda verdict: verdict)
    setup = case_setup(context, FakeApplier(), FakeProxySync())
    collaborators: Any = (Prober("passed"), inspector, interference, None)
    made = CaseRunner(context, setup, *collaborators)
    made.converge = 30.0
    return made


class Mesh:
    """A mesh of which only the release is known; nothing is asked of it."""

    facts = MeshFacts({"istio": Fact("1.31")})

    def __init__(self, *_: object, **__: object) -> None: ...

    def envoy(self, _: object) -> str:
        return "1.40.0"


# Without a cluster the parts that runner() ignores are nothing.
vars(fixtures).update(
    case_runner=runner,
    Mesh=Mesh,
    Api=lambda *_: SimpleNamespace(timeouts=Timeouts(), idle_shells=SimpleNamespace(close=lambda: None)),
    MeshNames=SimpleNamespace(of=lambda _: None),
    Names=lambda *_, **__: None,
    CreatedNamespaces=lambda *_: None,
    Environment=lambda *_: SimpleNamespace(leave=lambda: None),
    AccessLogs=lambda *_: SimpleNamespace(forget=lambda: None),
    WorkerContext=lambda *_: None,
    GatewayLogCheck=lambda *_, **__: None,
    NetworkPolicyCheck=lambda *_, **__: None,
)
