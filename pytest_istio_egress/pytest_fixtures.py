"""The fixtures of a case: the cluster, the mesh, and `egress`, which takes the case through the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_istio_egress.case import Case, case_of
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.lifetime import SignOfLife
from pytest_istio_egress.cluster.mesh import Mesh, MeshFacts
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.witnesses import Witnesses
from pytest_istio_egress.cluster.world import World
from pytest_istio_egress.diagnosis import cause
from pytest_istio_egress.egress import Egress
from pytest_istio_egress.evidence import Expectation, Verdict
from pytest_istio_egress.judge import Judge
from pytest_istio_egress.requirements import missing
from pytest_istio_egress.suite import fixtures_folder
from pytest_istio_egress.target import TARGET, Target
from pytest_istio_egress.timeouts import Timeouts


_ASKED = pytest.StashKey[list[Verdict]]()
"""What the case on stage was asked when it was entered: all its parameters at once, controls that -k left out too."""


@pytest.fixture(scope="session")
def istio_egress_target(pytestconfig: pytest.Config) -> Target:
    """The cluster that this run is about."""
    return pytestconfig.stash[TARGET]


@pytest.fixture(scope="session")
def cluster(istio_egress_target: Target) -> Api:
    """The cluster's API."""
    return Api(istio_egress_target.kubeconfig, istio_egress_target.context)


@pytest.fixture(scope="session")
def mesh(cluster: Api, istio_egress_target: Target) -> Mesh:
    """What is known about the mesh."""
    facts = istio_egress_target.mesh
    return Mesh(cluster, MeshFacts(**facts) if facts else None)


@pytest.fixture(scope="session")
def judge(cluster: Api, mesh: Mesh, istio_egress_target: Target, pytestconfig: pytest.Config) -> Iterator[Judge]:
    """This worker's part of the cluster, with its clients, and the pipeline on it."""
    timeouts = Timeouts().scaled(istio_egress_target.timeout_scale)
    worker = getattr(pytestconfig, "workerinput", {}).get("workerid", "main")
    names = Names(istio_egress_target.run, worker)
    world = World(cluster, names, fixtures_folder(), timeouts.ready)
    world.build()
    alive = SignOfLife(cluster, names.run, names.namespace("egress-outside"))
    alive.start()
    witnesses = Witnesses(cluster, mesh)
    for client in world.clients:
        if world.pod(client).injected:
            witnesses.follow(world.pod(client))
    yield Judge(cluster, world, witnesses, timeouts)
    alive.stop()
    witnesses.forget()


@pytest.fixture
def egress(judge: Judge, mesh: Mesh, request: pytest.FixtureRequest) -> Egress:
    """The case of the requesting test, its configuration settled and its parameters' probes asked."""
    case = case_of(request.function)
    if case is None:
        pytest.fail(f"{request.node.nodeid} uses `egress` but is not declared with @documented", pytrace=False)
    reasons = missing(case, mesh)
    if reasons:
        pytest.skip("; ".join(reasons))
    stash = request.session.stash
    if judge.enter(case):
        stash[_ASKED] = []  # should asking fail, the next parameter asks for itself
        stash[_ASKED] = judge.examine(_parameters(request))
    asked = stash[_ASKED]
    return Egress(judge, case, asked, RecordVerdict(request.node, judge.names, case))


def _parameters(request: pytest.FixtureRequest) -> list[Expectation]:
    """Return the (probe, expected) pairs of the test's own parametrize mark."""
    found: list[Expectation] = []
    for mark in request.node.iter_markers("parametrize"):
        names = mark.args[0]
        if isinstance(names, str):
            names = tuple(name.strip() for name in names.split(","))
        if tuple(names) != ("probe", "expected"):
            continue
        for values in mark.args[1]:
            probe, expected = getattr(values, "values", values)
            found.append((probe, expected))
    return found


class RecordVerdict:
    """Puts a verdict on the test's report, where xdist carries it to the controller."""

    def __init__(self, item: pytest.Item, names: Names, case: Case) -> None:
        self.item = item
        self.names = names
        self.case = case

    def __call__(self, verdict: Verdict) -> None:
        """Record one verdict."""
        seen = verdict.exchange
        plain = self.names.plain
        self.item.user_properties.append(
            (
                "istio-egress",
                {
                    "area": Path(str(self.item.path)).parent.name,
                    "case": self.item.nodeid,
                    "says": self.case.says,
                    "source": self.case.source,
                    "probe": plain(" ".join(seen.command)),
                    "expected": _said(verdict),
                    "seen": plain(f"status {seen.curl.status or '-'}, exit {seen.curl.exit}"),
                    "envoy": plain(seen.sidecar.raw) if seen.sidecar else "",
                    "gateway": plain(seen.gateway.raw) if seen.gateway else "",
                    "cause": "" if verdict.holds else plain(cause(verdict)),
                    "seconds": seen.curl.seconds,
                    "attempts": verdict.attempts,
                    "outcome": "holds" if verdict.holds else "does not hold",
                },
            )
        )


def _said(verdict: Verdict) -> str:
    expected = verdict.expected
    exits = " or ".join(str(code) for code in sorted(expected.exits, reverse=True))
    return f"status {expected.status or '-'}, exit {exits}"
