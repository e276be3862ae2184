"""The suite's own clients and servers are made when the first thing needs them, and not before."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress import Hop, Outcome, Probe, get, workload
from pytest_istio_egress.case import Case
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.world import CLIENTS, World
from pytest_istio_egress.evidence import Expectation
from pytest_istio_egress.judge import Judge
from pytest_istio_egress.staging import Staging
from pytest_istio_egress.timeouts import Timeouts

CASE = Case(at="page/", says="It is said", folder=Path(), manifests=(), requires=(), since=None, rows=())
OWN = get("http://api.stripe.com/", client=workload("deployment/payments", namespace="payments"))
SUITES = get("http://api.test/")
POD = Pod(namespace="n", name="sleep-1", uid="u", address="10.0.0.9", injected=True, container="curl")


class Played(World):
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


class Unsettled(Staging):
    """No proxy is waited for; `settled` counts how often one would be."""

    def settle(self) -> None:
        self.settled += 1


class Alone(Judge):
    """A judge of whom only the way to the stage is left: nothing is sent."""

    def __init__(self, world: World) -> None:
        self.followed: list[Pod] = []
        witnesses = cast(Any, SimpleNamespace(follow=self.followed.append))
        super().__init__(cast(Any, None), world, witnesses, Timeouts())
        self.staging = Unsettled(self.api, world, witnesses, self.timeouts, self.phases)
        self._asking = cast(Any, SimpleNamespace(ask=self._all_hold))
        self._disturbances = cast(Any, SimpleNamespace(begin=lambda: None, unsettled_until=0.0))

    def _all_hold(self, expectations: Sequence[Expectation], attempt: int) -> Any:
        assert attempt == 1
        return [SimpleNamespace(holds=True) for _ in expectations]


@pytest.fixture
def world() -> Played:
    return Played()


@pytest.fixture
def judge(world: Played) -> Alone:
    return Alone(world)


def ask(judge: Judge, *probes: Probe) -> None:
    judge.enter(CASE)
    judge.examine([(probe, Outcome(status=200)) for probe in probes])


def test_a_case_asked_from_a_users_own_workload_makes_nothing(judge: Alone, world: Played) -> None:
    ask(judge, OWN)
    assert judge.staging.pod(OWN.client) == POD
    assert not world.builds
    assert not world.clients


def test_a_client_of_the_suites_has_all_made_and_settled_before_it_is_asked(judge: Alone, world: Played) -> None:
    judge.enter(CASE)
    before = judge.staging.settled
    judge.examine([(probe, Outcome(status=200)) for probe in (OWN, SUITES)])
    assert world.builds == 1
    assert world.clients == CLIENTS
    assert judge.staging.settled == before + 1, "the proxies that came in the middle of the case are waited for"
    assert judge.followed == [POD] * len(CLIENTS)


def test_it_is_made_once(judge: Alone, world: Played) -> None:
    ask(judge, SUITES)
    judge.examine([(SUITES, Outcome(status=200))])
    judge.enter(replace(CASE, says="Another"))
    assert judge.staging.built().addresses
    assert world.builds == 1


@pytest.mark.parametrize(
    "needs",
    [
        lambda judge: judge.staging.pod("sleep.egress-client"),
        lambda judge: judge.staging.config("sleep.egress-client"),
        lambda judge: judge.enter(replace(CASE, fixtures=("forward_proxy.yaml",))),
    ],
    ids=["a client's pod", "a client's configuration", "a fixture"],
)
def test_what_else_needs_it_has_it_made(judge: Alone, world: Played, needs: Callable[[Judge], object]) -> None:
    needs(judge)
    assert world.builds == 1


def test_manifests_of_a_case_need_it(
    judge: Alone, world: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "entry.yaml"
    manifest.write_text("{kind: Nothing}")
    monkeypatch.setattr(judge.staging, "_apply", lambda _: None)
    judge.enter(replace(CASE, manifests=(manifest,)))
    assert world.builds == 1


def test_what_could_not_be_made_is_told_again_and_not_tried_again(
    world: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def refused() -> None:
        tried.append(1)
        raise ClusterError("a quota refused the pods")

    monkeypatch.setattr(world, "_build", refused)
    for _ in range(2):
        with pytest.raises(ClusterError, match="quota"):
            world.build()
    assert len(tried) == 1
    assert not world.built


def test_a_gateway_that_came_is_settled_for_once(judge: Alone, world: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: dict[str, Pod] = {}
    monkeypatch.setattr(world.found, "known", lambda: looked_up)
    monkeypatch.setattr(judge._asking, "gateway_pods", lambda at: [looked_up.setdefault(at, POD)], raising=False)
    asked = [(SUITES, Outcome(status=200, gateway=Hop(at="exit.egress-gateway")))]
    judge.enter(CASE)
    judge.staging.built()
    before = judge.staging.settled
    for _ in range(2):
        judge.examine(asked)
        assert judge.staging.settled == before + 1
