"""When a failed parameter is probed again, and when its result is discarded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
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
from pytest_istio_egress.cluster.logs import UnreadableLogError
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED
from pytest_istio_egress.pipeline.runner import RESTARTS, CaseRunner
from pytest_istio_egress.verdict.failure_context import FailureContext
from pytest_istio_egress.verdict.verdict import Expectation, NoVerdict, Verdict

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
    """Explains nothing; `log_trouble` is found at each failure."""

    def __init__(self) -> None:
        self.log_trouble = ""

    def explained(self, verdict: Verdict) -> Verdict:
        return replace(verdict, failure_context=FailureContext(log_trouble=self.log_trouble))


class Parts:
    """A real runner, and the fake collaborators that it was given."""

    def __init__(self, prober: FakeProber, interference: FakeInterference) -> None:
        self.environment = FakeEnvironment()
        self.proxy_sync = FakeProxySync()
        self.prober = prober
        self.interference = interference
        self.inspector = FakeInspector()
        context = worker_context(self.environment)
        self.setup = case_setup(context, FakeApplier(), self.proxy_sync)
        self.runner = CaseRunner(
            context,
            self.setup,
            cast(Any, prober),
            cast(Any, self.inspector),
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


def test_failure_before_a_pass_makes_it_unsteady() -> None:
    parts = Parts(FakeProber(FAILED, FAILED, PASSED), FakeInterference())
    parts.runner.converge = 60.0
    (verdict,) = parts.runner.verify([CLIENTS_PROBE])
    assert isinstance(verdict, Verdict)
    assert (verdict.passed, verdict.unsteady, verdict.attempts, len(verdict.unexpected)) == (True, True, 3, 2)


def test_steady_parameter_is_not_unsteady() -> None:
    (verdict,) = Parts(FakeProber(PASSED), FakeInterference()).runner.verify([CLIENTS_PROBE])
    assert isinstance(verdict, Verdict)
    assert not verdict.unsteady


def test_probe_in_the_background_is_sent_once() -> None:
    parts = Parts(FakeProber(FAILED, PASSED), FakeInterference())
    parts.runner.converge = 60.0
    with parts.runner.sending([CLIENTS_PROBE]) as answers:
        assert answers == []
    assert [answer.passed for answer in answers] == [False]
    assert parts.prober.attempts == [1]


def test_failure_in_the_background_under_interference_is_an_error() -> None:
    parts = Parts(FakeProber(FAILED), FakeInterference("istiod restarted"))
    with pytest.raises(ClusterError, match="istiod restarted"), parts.runner.sending([CLIENTS_PROBE]):
        pass


def test_own_rule_that_applies_nothing_is_not_probed_again() -> None:
    parts = Parts(FakeProber(FAILED, PASSED), FakeInterference())
    parts.runner.converge = 60.0
    assert not parts.runner.verify([OWN_PROBE])[0].passed
    assert parts.prober.attempts == [1]


def test_own_rule_that_applies_a_manifest_is_probed_again_and_its_unsteady_pass_fails() -> None:
    parts = Parts(FakeProber(FAILED, PASSED), FakeInterference())
    parts.runner.converge = 60.0
    parts.setup.documents = [{"kind": "ServiceEntry"}]
    (verdict,) = parts.runner.verify([OWN_PROBE])
    assert parts.prober.attempts == [1, 2]
    assert isinstance(verdict, Verdict)
    assert not verdict.passed
    assert [str(each) for each in verdict.differences][-1] == "answers as expected: expected 2 of 2, got 1"


def test_unsteady_pass_of_an_own_rule_can_be_accepted() -> None:
    parts = Parts(FakeProber(FAILED, PASSED), FakeInterference())
    parts.runner.converge = 60.0
    parts.runner.fail_unsteady = lambda _: False
    parts.setup.documents = [{"kind": "ServiceEntry"}]
    (verdict,) = parts.runner.verify([OWN_PROBE])
    assert isinstance(verdict, Verdict)
    assert verdict.unsteady


def test_unsteady_pass_of_the_suite_fails_where_that_is_asked_for() -> None:
    parts = Parts(FakeProber(FAILED, PASSED), FakeInterference())
    parts.runner.converge = 60.0
    parts.runner.fail_unsteady = lambda _: True
    assert not parts.runner.verify([CLIENTS_PROBE])[0].passed


def own(times: int, share: float = 1.0) -> Expectation:
    return OWN_PROBE[0], Outcome(status=200, times=times, share=share)


@pytest.mark.parametrize(
    ("later", "share", "passes", "unsteady"),
    [
        ([PASSED] * 9, 1.0, True, False),
        ([PASSED] * 8 + [FAILED], 1.0, False, False),
        ([PASSED] * 8 + [FAILED], 0.9, True, True),
        ([PASSED] * 7 + [FAILED] * 2, 0.9, False, False),
    ],
)
def test_answers_in_a_row(later: list[str], share: float, passes: bool, unsteady: bool) -> None:  # noqa: FBT001  # what is expected
    parts = Parts(FakeProber(PASSED, later), FakeInterference())
    (verdict,) = parts.runner.verify([own(10, share)])
    assert isinstance(verdict, Verdict)
    assert (verdict.passed, verdict.unsteady, verdict.attempts) == (passes, unsteady, 10)


def test_number_of_expected_answers_is_a_difference() -> None:
    parts = Parts(FakeProber(FAILED, [PASSED, FAILED, PASSED]), FakeInterference())
    (verdict,) = parts.runner.verify([own(4)])
    assert isinstance(verdict, Verdict)
    assert str(verdict.differences[-1]) == "answers as expected: expected 4 of 4, got 2"
    assert len(verdict.unexpected) == 2


def test_only_parameters_that_ask_for_several_answers_are_probed_several_times() -> None:
    parts = Parts(FakeProber(PASSED, [PASSED, PASSED]), FakeInterference())
    once, thrice = parts.runner.verify([OWN_PROBE, own(3)])
    assert isinstance(once, Verdict)
    assert isinstance(thrice, Verdict)
    assert (once.attempts, thrice.attempts) == (1, 3)


def test_answer_that_never_came_in_time_is_not_asked_for_more() -> None:
    parts = Parts(FakeProber(FAILED), FakeInterference())
    parts.runner.verify([(CLIENTS_PROBE[0], Outcome(status=200, times=5))])
    assert parts.prober.attempts == [1]


def test_error_of_one_parameter_leaves_the_others_their_verdicts() -> None:
    parts = Parts(FakeProber([PASSED, ERROR, FAILED], [PASSED]), FakeInterference())
    parts.runner.converge = 60.0
    first, second, third = parts.runner.verify([CLIENTS_PROBE, OWN_PROBE, CLIENTS_PROBE])
    assert (first.passed, second.passed, third.passed) == (True, False, True)
    assert isinstance(second, NoVerdict)
    assert parts.prober.attempts == [1, 2], "an error is not probed again"


def test_error_among_several_answers_is_an_error() -> None:
    parts = Parts(FakeProber(PASSED, [PASSED, ERROR]), FakeInterference())
    assert isinstance(parts.runner.verify([own(3)])[0], NoVerdict)


def test_failure_that_rests_on_an_unreadable_log_is_an_error() -> None:
    parts = Parts(FakeProber(FAILED), FakeInterference())
    parts.inspector.log_trouble = "the log of the gateway is empty"
    (answer,) = parts.runner.verify([CLIENTS_PROBE])
    assert isinstance(answer, NoVerdict)
    assert isinstance(answer.error, UnreadableLogError)
    assert "the log of the gateway is empty" in str(answer.error)


def test_probes_of_own_workloads_are_sent_one_after_the_other_unless_more_are_asked_for() -> None:
    parts = Parts(FakeProber(PASSED), FakeInterference())
    parts.runner.verify([OWN_PROBE, OWN_PROBE])
    parts.runner.verify([OWN_PROBE, OWN_PROBE], own_at_once=2)
    assert parts.prober.own_at_once == [1, 2]


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


class OwnChange:
    """The mesh's ConfigMap, and what detects changes of it: one that was not accepted is another run's."""

    def __init__(self) -> None:
        self.unsettled_until = 0.0
        self.version = self.accepted = 0

    def change(self, _: object) -> str:
        self.version += 1
        return ""

    def restore_text(self, _: str) -> None:
        self.version += 1

    def unlock(self) -> None: ...

    def begin(self) -> None: ...

    def accept_mesh_change(self) -> None:
        self.accepted = self.version

    def detect(self) -> str | None:
        return None if self.accepted == self.version else "the mesh configuration was changed"


def test_failure_under_the_tests_own_mesh_change_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """To take it for another run's change is to wait until the test itself undoes it."""
    own = OwnChange()
    parts = Parts(FakeProber(FAILED), cast("FakeInterference", own))
    monkeypatch.setattr(parts.setup, "follow_mesh", lambda *_, **__: None)
    runner = CaseRunner(
        parts.runner.context, parts.setup, cast(Any, parts.prober), cast(Any, parts.inspector), cast(Any, own),
        cast(Any, own),
    )  # fmt: skip
    with runner.changed_mesh_config({"outboundTrafficPolicy": {}}, lambda _: True):
        (answer,) = runner.verify([CLIENTS_PROBE])
    assert not answer.passed
    assert own.detect() is None


def test_mesh_change_that_is_switched_off_changes_nothing() -> None:
    parts = Parts(FakeProber(PASSED), FakeInterference())
    parts.runner.change_mesh_config = False
    with parts.runner.changed_mesh_config({"outboundTrafficPolicy": {}}, lambda _: True):
        assert parts.setup.case is CASE
