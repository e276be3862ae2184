"""The suite's own clients and servers are made when the first thing needs them, and not before."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress import Hop, Outcome, Probe, get, workload
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.environment import CLIENTS, Environment
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.runner import CaseRunner
from pytest_istio_egress.verdict.verdict import Expectation

CASE = Case(page="page/", summary="It is said", folder=Path(), manifests=(), requires=(), since=None, outcomes=())
OWN = get("http://api.stripe.com/", client=workload("deployment/payments", namespace="payments"))
SUITES = get("http://api.test/")
POD = Pod(namespace="n", name="sleep-1", uid="u", address="10.0.0.9", injected=True, container="curl")


class Played(Environment):
    """A world without a cluster; it counts how often it is built."""

    def __init__(self) -> None:
        super().__init__(cast(Api, SimpleNamespace()), Names("k3x9q", "gw0"), Path(), 1.0)
        self.builds = 0
        self.extended: list[str] = []

    def _build(self) -> None:
        self.builds += 1
        self.names = replace(self.names, addresses={"192.0.2.80": "10.96.0.7"})

    def extend(self, fixtures: Any) -> None:
        self.extended += fixtures

    def pod(self, client: str) -> Pod:
        assert self.built or client == OWN.client, f"{client} was never made"
        return POD


class Unsettled(CaseSetup):
    """No proxy is waited for; `settled` counts how often one would be."""

    def settle(self) -> None:
        self.settled += 1


class Alone(CaseRunner):
    """A judge of whom only the way to the stage is left: nothing is sent."""

    def __init__(self, environment: Environment) -> None:
        self.followed: list[Pod] = []
        access_logs = cast(Any, SimpleNamespace(follow=self.followed.append))
        super().__init__(cast(Any, None), environment, access_logs, Timeouts())
        self.case_setup = Unsettled(self.api, environment, access_logs, self.timeouts, self.timer)
        self._prober = cast(Any, SimpleNamespace(ask=self._all_hold))
        self._interference = cast(Any, SimpleNamespace(begin=lambda: None, unsettled_until=0.0))

    def _all_hold(self, expectations: Sequence[Expectation], attempt: int) -> Any:
        assert attempt == 1
        return [SimpleNamespace(holds=True) for _ in expectations]


@pytest.fixture
def environment() -> Played:
    return Played()


@pytest.fixture
def runner(environment: Played) -> Alone:
    return Alone(environment)


def ask(runner: CaseRunner, *probes: Probe) -> None:
    runner.enter(CASE)
    runner.verify([(probe, Outcome(status=200)) for probe in probes])


def test_a_case_asked_from_a_users_own_workload_makes_nothing(runner: Alone, environment: Played) -> None:
    ask(runner, OWN)
    assert runner.case_setup.pod(OWN.client) == POD
    assert not environment.builds
    assert not environment.clients


def test_a_client_of_the_suites_has_all_made_and_settled_before_it_is_asked(runner: Alone, environment: Played) -> None:
    runner.enter(CASE)
    before = runner.case_setup.settled
    runner.verify([(probe, Outcome(status=200)) for probe in (OWN, SUITES)])
    assert environment.builds == 1
    assert environment.clients == CLIENTS
    assert runner.case_setup.settled == before + 1, "the proxies that came in the middle of the case are waited for"
    assert runner.followed == [POD] * len(CLIENTS)


def test_it_is_made_once(runner: Alone, environment: Played) -> None:
    ask(runner, SUITES)
    runner.verify([(SUITES, Outcome(status=200))])
    runner.enter(replace(CASE, summary="Another"))
    assert runner.case_setup.ensure_environment().addresses
    assert environment.builds == 1


@pytest.mark.parametrize(
    "needs",
    [
        lambda runner: runner.case_setup.pod("sleep.egress-client"),
        lambda runner: runner.case_setup.config("sleep.egress-client"),
        lambda runner: runner.enter(replace(CASE, fixtures=("forward_proxy.yaml",))),
    ],
    ids=["a client's pod", "a client's configuration", "a fixture"],
)
def test_what_else_needs_it_has_it_made(
    runner: Alone, environment: Played, needs: Callable[[CaseRunner], object]
) -> None:
    needs(runner)
    assert environment.builds == 1


def test_manifests_of_a_case_need_it(
    runner: Alone, environment: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "entry.yaml"
    manifest.write_text("{kind: Nothing}")
    monkeypatch.setattr(runner.case_setup, "_apply", lambda _: None)
    runner.enter(replace(CASE, manifests=(manifest,)))
    assert environment.builds == 1


def test_what_could_not_be_made_is_told_again_and_not_tried_again(
    environment: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def refused() -> None:
        tried.append(1)
        raise ClusterError("a quota refused the pods")

    monkeypatch.setattr(environment, "_build", refused)
    for _ in range(2):
        with pytest.raises(ClusterError, match="quota"):
            environment.build()
    assert len(tried) == 1
    assert not environment.built


def test_a_gateway_that_came_is_settled_for_once(
    runner: Alone, environment: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: dict[str, Pod] = {}
    monkeypatch.setattr(environment.pod_lookup, "known", lambda: looked_up)
    monkeypatch.setattr(runner._prober, "gateway_pods", lambda at: [looked_up.setdefault(at, POD)], raising=False)
    asked = [(SUITES, Outcome(status=200, gateway=Hop(at="exit.egress-gateway")))]
    runner.enter(CASE)
    runner.case_setup.ensure_environment()
    before = runner.case_setup.settled
    for _ in range(2):
        runner.verify(asked)
        assert runner.case_setup.settled == before + 1
