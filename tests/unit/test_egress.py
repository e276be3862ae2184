"""What a test function holds: a manifest that must be taken, and one that must be refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.pipeline.egress import Egress, MismatchError
from pytest_istio_egress.pipeline.runner import CaseRunner

CASE = Case(
    page="page/", summary="It is said", folder=Path("area"), manifests=(), requires=(), since=None, outcomes=("row",)
)


def quiet() -> None:
    """Nothing else than the mesh was going on."""


def egress(answer: str | None) -> Egress:
    asked = SimpleNamespace(
        case_setup=SimpleNamespace(refusal=lambda _: answer),
        check_undisturbed=quiet,
        names=Names(run="k3x9q", worker="gw0"),
    )
    return Egress(cast(CaseRunner, asked), CASE, [], lambda _: None)


def proxy(turns: int) -> Egress:
    """Return a case whose proxy comes so far at the given look."""
    looks = iter(range(1, 100))
    runner = SimpleNamespace(
        case_setup=SimpleNamespace(config=lambda _: next(looks) >= turns, read=lambda *_: None),
        timeouts=SimpleNamespace(settle=0.5),
        names=Names(run="k3x9q", worker="gw0"),
        check_undisturbed=quiet,
    )
    return Egress(cast(CaseRunner, runner), CASE, [], lambda _: None)


def test_what_a_proxy_does_by_itself_is_waited_for() -> None:
    proxy(2).wait_until("it is there", bool)


def test_what_never_comes_does_not_hold() -> None:
    with pytest.raises(MismatchError, match="whether it is there: expected True, seen False"):
        proxy(100).wait_until("it is there", bool)


def test_a_resource_that_is_not_there_does_not_hold() -> None:
    with pytest.raises(MismatchError, match="Service mine: expected there, seen none"):
        proxy(1).resource("v1", "Service", "mine")


def test_a_refusal_is_the_apis_answer() -> None:
    assert egress("no host").refusal("bad.yaml") == "no host"


def test_a_manifest_that_is_taken_is_no_refusal() -> None:
    with pytest.raises(MismatchError, match="expected to be refused, seen accepted"):
        egress(None).refusal("bad.yaml")


def test_a_manifest_that_is_taken_is_accepted() -> None:
    egress(None).accepted("good.yaml")


def test_a_manifest_that_is_refused_is_not_accepted() -> None:
    with pytest.raises(MismatchError, match=r"expected to be accepted, seen refused: no host api\.test"):
        egress("no host api.k3x9q.test").accepted("good.yaml")


def test_a_fact_seen_while_something_else_went_on_is_no_verdict() -> None:
    def disturbed() -> None:
        raise ClusterError("the pod went")

    case = proxy(1)
    case.runner.check_undisturbed = disturbed  # type: ignore[method-assign]  # it is a stand-in
    case.state("a fact", "seen", "seen")
    with pytest.raises(ClusterError, match="the pod went"):
        case.state("a fact", "as documented", "otherwise")
