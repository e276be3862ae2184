"""When a failed parameter is probed again, and when its result is discarded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from fake_cluster import (
    CASE,
    PASSES,
    POD,
    FakeApplier,
    FakeEnvironment,
    FakeProber,
    FakeProxySync,
    case_setup,
    worker_context,
)

from pytest_istio_egress import Hop, Outcome, get, workload
from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.result_names import FAILED, PASSED
from pytest_istio_egress.pipeline.runner import RESTARTS, CaseRunner

CLIENTS_PROBE = (get("http://api.test/"), PASSES)
OWN_PROBE = (get("http://api.stripe.com/", client=workload("deployment/payments", namespace="payments")), PASSES)


class FakeInterference:
    """Reports these events, one per call; `detections` counts the calls."""

    def __init__(self, *events: str | None) -> None:
        self.events = list(events)
        self.detections = 0
        self.unsettled_until = 0.0

    def begin(self) -> None: ...

    def detect(self) -> str | None:
        self.detections += 1
        return self.events.pop(0) if self.events else None


class FakeInspector:
    """Explains nothing."""

    def explained(self, verdict: object) -> object:
        return verdict


class Parts:
    """A real runner, and the fake collaborators that it was given."""

    def __init__(self, prober: FakeProber, interference: FakeInterference) -> None:
        self.environment = FakeEnvironment()
        self.proxy_sync = FakeProxySync()
        self.prober = prober
        self.interference = interference
        context = worker_context(self.environment)
        self.setup = case_setup(context, FakeApplier(), self.proxy_sync)
        self.runner = CaseRunner(
            context,
            self.setup,
            cast(Any, prober),
            cast(Any, FakeInspector()),
            cast(Any, interference),
            cast(Any, None),
        )
        self.runner.enter(CASE)


def test_passed_parameters_are_not_checked_for_interference() -> None:
    parts = Parts(FakeProber(PASSED), FakeInterference())
    assert parts.runner.verify([CLIENTS_PROBE])[0].passed
    assert parts.interference.detections == 0


def test_failure_without_interference_is_a_verdict() -> None:
    parts = Parts(FakeProber(FAILED), FakeInterference(None))
    assert not parts.runner.verify([CLIENTS_PROBE])[0].passed


def test_failure_is_probed_again_until_it_passes() -> None:
    parts = Parts(FakeProber(FAILED, FAILED, PASSED), FakeInterference())
    parts.runner.converge = 60.0
    assert parts.runner.verify([CLIENTS_PROBE])[0].passed
    assert parts.prober.attempts == [1, 2, 3]


def test_failure_under_interference_restarts_the_test() -> None:
    parts = Parts(FakeProber(FAILED, PASSED), FakeInterference("the pod went"))
    entered: list[Case] = []

    @contextmanager
    def entering(case: Case) -> Iterator[None]:
        entered.append(case)
        yield

    parts.runner.entering = entering
    assert parts.runner.verify([CLIENTS_PROBE])[0].passed
    assert entered == [CASE]


def test_failure_after_a_restart_without_interference_is_a_verdict() -> None:
    parts = Parts(FakeProber(FAILED), FakeInterference("the pod went", None))
    assert not parts.runner.verify([CLIENTS_PROBE])[0].passed


def test_interference_in_every_round_is_an_error() -> None:
    parts = Parts(FakeProber(FAILED), FakeInterference(*["the pod went"] * (RESTARTS + 1)))
    with pytest.raises(ClusterError, match=r"the pod went during the test, 3 times in a row"):
        parts.runner.verify([CLIENTS_PROBE])


def test_interference_after_a_test_changed_its_own_state_is_an_error() -> None:
    parts = Parts(FakeProber(FAILED), FakeInterference("the pod went"))
    parts.setup.case = None
    with pytest.raises(ClusterError, match="the pod went during the test"):
        parts.runner.verify([CLIENTS_PROBE])


def test_failed_check_under_interference_is_an_error() -> None:
    parts = Parts(FakeProber(PASSED), FakeInterference("the pod went"))
    with pytest.raises(ClusterError, match="the pod went during the test"):
        parts.runner.check_interference()


def test_probe_of_an_own_workload_creates_no_environment() -> None:
    parts = Parts(FakeProber(PASSED), FakeInterference())
    parts.runner.verify([OWN_PROBE])
    assert parts.environment.builds == 0


def test_probe_of_the_suites_client_creates_the_environment_once() -> None:
    parts = Parts(FakeProber(PASSED), FakeInterference())
    waits = parts.proxy_sync.waits
    parts.runner.verify([OWN_PROBE, CLIENTS_PROBE])
    parts.runner.verify([CLIENTS_PROBE])
    assert parts.environment.builds == 1
    assert parts.proxy_sync.waits == waits + 1, "proxies that are created during a test are waited for"


def test_gateway_that_appears_is_synced_once() -> None:
    prober = FakeProber(PASSED)
    parts = Parts(prober, FakeInterference())
    prober.lookup, prober.gateways = parts.environment.pod_lookup, {"exit.egress-gateway": [POD]}
    parts.setup.ensure_environment()
    waits = parts.proxy_sync.waits
    expectation = (get("http://api.test/"), Outcome(status=200, gateway=Hop(at="exit.egress-gateway")))
    for _ in range(2):
        parts.runner.verify([expectation])
        assert parts.proxy_sync.waits == waits + 1


def test_mesh_change_that_is_switched_off_changes_nothing() -> None:
    parts = Parts(FakeProber(PASSED), FakeInterference())
    parts.runner.change_mesh_config = False
    with parts.runner.changed_mesh_config({"outboundTrafficPolicy": {}}, lambda _: True):
        assert parts.setup.case is CASE
