"""What the `egress` fixture's object accepts, and the errors that it raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fake_cluster import CASE, LINE, exchange_of, verdict_on

from pytest_istio_egress import Hop, Outcome, blocked_tcp, get, reached, workload
from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.model.case import InvalidTestError
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.pipeline.egress import Egress, MismatchError
from pytest_istio_egress.pipeline.verdicts import Verdicts
from pytest_istio_egress.verdict.verdict import Answer, Expectation, NoVerdict, Verdict


class FakeRunner:
    """Finds no interference unless it is given some; each probe passes but that of the URL `fails`."""

    def __init__(self, fails: str = "") -> None:
        self.context = SimpleNamespace(timeouts=SimpleNamespace(settle=0.5))
        self.require_control = True
        self.interference: Exception | None = None
        self.fails = fails
        self.verified: list[Expectation] = []
        self.own_at_once: list[int] = []

    def verify(self, expectations: Sequence[Expectation], *, own_at_once: int = 1) -> list[Verdict]:
        self.verified += expectations
        self.own_at_once.append(own_at_once)
        return [verdict_on(pair, passed=pair[0].url != self.fails) for pair in expectations]

    @contextmanager
    def sending(self, expectations: Sequence[Expectation]) -> Iterator[list[Answer]]:
        answers: list[Answer] = []
        yield answers
        answers += self.verify(expectations, own_at_once=len(expectations))

    def check_interference(self) -> None:
        if self.interference:
            raise self.interference


class FakeSetup:
    """Rejects every manifest with `answer`, None for none; a proxy is in its state from the given look on."""

    def __init__(self, answer: str | None = None, looks: int = 1) -> None:
        self.context = SimpleNamespace(names=Names(run="k3x9q", worker="gw0"))
        self.answer = answer
        self.looks = looks

    def rejection(self, _: object) -> str | None:
        return self.answer

    def config(self, _: str) -> bool:
        self.looks -= 1
        return self.looks <= 0

    def read(self, *_: str) -> None:
        return None


def egress(
    setup: FakeSetup,
    runner: FakeRunner | None = None,
    verdicts: tuple[Answer, ...] = (),
    record: Callable[[Verdict], None] = lambda _: None,
) -> Egress:
    return Egress(cast(Any, runner or FakeRunner()), cast(Any, setup), CASE, Verdicts(verdicts), record=record)


def test_state_of_a_proxy_is_waited_for() -> None:
    egress(FakeSetup(looks=2)).wait_until("listener for port 80", cast(Any, bool))


def test_state_that_never_comes_fails() -> None:
    with pytest.raises(MismatchError, match="listener for port 80: expected True, got False"):
        egress(FakeSetup(looks=10_000)).wait_until("listener for port 80", cast(Any, bool))


def test_missing_resource_fails() -> None:
    with pytest.raises(MismatchError, match="Service mine: expected exists, got does not exist"):
        egress(FakeSetup()).resource("v1", "Service", "mine")


def test_failed_check_carries_its_difference_as_data() -> None:
    with pytest.raises(MismatchError) as error:
        egress(FakeSetup()).check("host of the entry", "api.k3x9q.test", "other.test")
    assert error.value.differences == (Difference("cluster", "host of the entry", "other.test", "api.test"),)


def test_rejected_manifest_returns_the_answer() -> None:
    assert egress(FakeSetup("no host")).expect_rejected("bad.yaml") == "no host"


def test_accepted_manifest_is_no_rejection() -> None:
    with pytest.raises(MismatchError, match=r"bad\.yaml: expected rejected, got accepted") as error:
        egress(FakeSetup()).expect_rejected("bad.yaml")
    assert error.value.cause


def test_accepted_manifest_passes() -> None:
    egress(FakeSetup()).expect_accepted("good.yaml")


def test_rejected_manifest_is_not_accepted() -> None:
    with pytest.raises(MismatchError, match=r"good\.yaml: expected accepted, got rejected: no host api\.test"):
        egress(FakeSetup("no host api.k3x9q.test")).expect_accepted("good.yaml")


def test_failed_check_under_interference_is_an_error() -> None:
    runner = FakeRunner()
    runner.interference = ClusterError("the pod went during the test")
    subject = egress(FakeSetup(), runner)
    subject.check("listener", "there", "there")
    with pytest.raises(ClusterError, match="the pod went"):
        subject.check("listener", "another", "documented")


BLOCK = (get("http://blocked.test/"), blocked_tcp())
CONTROL_PROBE = get("http://control.test/")
CONTROL = (CONTROL_PROBE, Outcome(status=200, reached="outside").for_probe(CONTROL_PROBE))


def test_block_passes_beside_a_control_that_passed() -> None:
    verdicts = (verdict_on(BLOCK, passed=True), verdict_on(CONTROL, passed=True))
    assert egress(FakeSetup(), verdicts=verdicts).expect(*BLOCK).passed


def test_probe_that_lasts_is_recorded_after_what_happens_meanwhile() -> None:
    recorded: list[str] = []
    subject = egress(FakeSetup(), record=lambda verdict: recorded.append(verdict.probe.url))
    with subject.while_sending(CONTROL):
        subject.expect(get("http://meanwhile.test/"), reached())
    assert recorded == ["http://meanwhile.test/", "http://control.test/"]


def test_probe_that_lasts_and_fails_raises_its_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_istio_egress.pipeline.egress.probe_failure", lambda *_: "the text")
    subject = egress(FakeSetup(), FakeRunner(fails=CONTROL_PROBE.url))
    with pytest.raises(MismatchError, match="the text"), subject.while_sending(CONTROL):
        pass


@pytest.mark.parametrize("control", [(), (verdict_on(CONTROL, passed=False),)], ids=["none", "failed"])
def test_block_without_a_passed_control_fails(control: tuple[Verdict, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_istio_egress.pipeline.egress.probe_failure", lambda *_: "the text")
    subject = egress(FakeSetup(), verdicts=(verdict_on(BLOCK, passed=True), *control))
    with pytest.raises(MismatchError, match="the text") as error:
        subject.expect(*BLOCK)
    (difference,) = error.value.differences
    assert difference.hop == "control"
    assert "control" in error.value.cause


def test_block_whose_control_ended_in_an_error_is_an_error() -> None:
    control = NoVerdict(probe=CONTROL[0], expected=CONTROL[1], error=ClusterError("the gateway writes no log"))
    subject = egress(FakeSetup(), verdicts=(verdict_on(BLOCK, passed=True), control))
    with pytest.raises(ClusterError, match=r"control http://control\.test/ .* an error: the gateway writes no log"):
        subject.expect(*BLOCK)


def test_block_passes_beside_one_control_of_two_that_is_no_error() -> None:
    control = NoVerdict(probe=CONTROL[0], expected=CONTROL[1], error=ClusterError("the gateway writes no log"))
    answers = (verdict_on(BLOCK, passed=True), control, verdict_on(CONTROL, passed=True))
    assert egress(FakeSetup(), verdicts=answers).expect(*BLOCK).passed


@pytest.mark.parametrize(
    ("status", "forwarded", "passes"), [(200, True, True), (503, True, False), (200, False, False)]
)
def test_control_that_came_through_shows_no_outage_though_it_failed(
    status: int,
    forwarded: bool,  # noqa: FBT001  # what was seen
    passes: bool,  # noqa: FBT001  # what is expected
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pytest_istio_egress.pipeline.egress.probe_failure", lambda *_: "the text")
    line = replace(LINE, upstream_local="10.1.0.1:1" if forwarded else "-")
    wrong_cluster = replace(
        verdict_on(CONTROL, passed=False), exchange=exchange_of(CONTROL[0], status=status, sidecar=line)
    )
    subject = egress(FakeSetup(), verdicts=(verdict_on(BLOCK, passed=True), wrong_cluster))
    if passes:
        assert subject.expect(*BLOCK).passed
    else:
        with pytest.raises(MismatchError):
            subject.expect(*BLOCK)


def test_error_of_a_parameter_is_raised_in_the_setup_and_by_expect() -> None:
    answer = NoVerdict(probe=CONTROL[0], expected=CONTROL[1], error=InvalidTestError("no such workload"))
    subject = egress(FakeSetup(), verdicts=(answer,))
    with pytest.raises(InvalidTestError, match="no such workload"):
        subject.raise_errors([CONTROL])
    with pytest.raises(InvalidTestError, match="no such workload"):
        subject.expect(*CONTROL)


def test_same_outcome_expected_twice_is_probed_twice() -> None:
    runner = FakeRunner()
    subject = egress(FakeSetup(), runner, (verdict_on(CONTROL, passed=True),))
    subject.expect(*CONTROL)
    assert runner.verified == []
    subject.expect(*CONTROL)
    subject.expect(*CONTROL)
    assert runner.verified == [CONTROL, CONTROL]


def test_outcomes_expected_together_are_sent_side_by_side_and_all_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_istio_egress.pipeline.egress.probe_failure", lambda *_: "the text")
    runner = FakeRunner(fails="http://second.test/")
    recorded: list[Verdict] = []
    subject = egress(FakeSetup(), runner, record=recorded.append)
    pairs = [(get(f"http://{name}.test/"), CONTROL[1]) for name in ("first", "second", "third")]
    with pytest.raises(MismatchError):
        subject.expect_all(*pairs)
    assert runner.own_at_once == [3]
    assert [verdict.passed for verdict in recorded] == [True, False, True]


PAYMENTS = workload("deployment/payments", namespace="payments")


@pytest.mark.parametrize(
    ("outcome", "names"),
    [
        (reached(), "reached of"),
        (Outcome(status=200, source="gateway"), "source of"),
        (Outcome(status=200, server_saw={"protocol": "HTTP/2"}, proxy=Hop()), "server_saw, proxy of"),
    ],
)
def test_what_only_the_suites_servers_report_is_refused_for_own_hosts(outcome: Outcome, names: str) -> None:
    runner = FakeRunner()
    with pytest.raises(InvalidTestError, match=f"^{names} http://api.stripe.test/ cannot be verified"):
        egress(FakeSetup(), runner).expect(get("http://api.stripe.test/", client=PAYMENTS), outcome)
    assert runner.verified == []


def test_block_passes_without_a_control_where_none_is_required() -> None:
    runner = FakeRunner()
    runner.require_control = False
    assert egress(FakeSetup(), runner, (verdict_on(BLOCK, passed=True),)).expect(*BLOCK).passed


def test_failed_probe_raises_its_differences_and_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_istio_egress.pipeline.egress.probe_failure", lambda *_: "the text")
    failed = replace(
        verdict_on(CONTROL, passed=True),
        differences=(Difference("client", "HTTP status", "200", "502"),),
        cause="no ServiceEntry lists api.k3x9q.test",
    )
    with pytest.raises(MismatchError, match="the text") as error:
        egress(FakeSetup(), verdicts=(failed,)).expect(*CONTROL)
    assert error.value.differences == failed.differences
    assert error.value.cause == "no ServiceEntry lists api.test"
