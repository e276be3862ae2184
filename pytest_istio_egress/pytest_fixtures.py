"""The fixtures of a case: the cluster, the mesh, and `egress`, which takes the case through the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.case import case_of
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.enforcement import Enforcement
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.mesh_names import MeshNames
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.witnesses import Witnesses
from pytest_istio_egress.cluster.world import World
from pytest_istio_egress.egress import Egress
from pytest_istio_egress.evidence import Expectation, Verdict
from pytest_istio_egress.judge import Judge
from pytest_istio_egress.mesh_facts import MeshFacts
from pytest_istio_egress.placement import Placement
from pytest_istio_egress.recording import KEEPER, KeepEvidence, RecordVerdict
from pytest_istio_egress.report.results import PHASES_PROPERTY
from pytest_istio_egress.requirements import missing, missing_by_probe
from pytest_istio_egress.suite import fixtures_folder
from pytest_istio_egress.target import TARGET, Target
from pytest_istio_egress.timeouts import Timeouts

_ASKED = pytest.StashKey[Sequence[Verdict]]()
"""What the case on stage was asked when it was entered: all its parameters at once, controls that -k left out too."""


@pytest.fixture(scope="session")
def istio_egress_target(pytestconfig: pytest.Config) -> Target:
    """The cluster that this run is about."""
    return pytestconfig.stash[TARGET]


@pytest.fixture(scope="session")
def cluster(istio_egress_target: Target) -> Api:
    """The cluster's API."""
    timeouts = Timeouts().scaled(istio_egress_target.timeout_scale)
    return Api(istio_egress_target.kubeconfig, istio_egress_target.context, timeouts)


@pytest.fixture(scope="session")
def mesh(cluster: Api, istio_egress_target: Target) -> Mesh:
    """What is known about the mesh."""
    facts = istio_egress_target.mesh
    return Mesh(cluster, MeshFacts.of(facts) if facts else None)


@pytest.fixture(scope="session")
def judge(cluster: Api, mesh: Mesh, istio_egress_target: Target, pytestconfig: pytest.Config) -> Iterator[Judge]:
    """This worker's part of the cluster, and the pipeline on it; its clients are made when they are first needed."""
    timeouts = cluster.timeouts
    worker = getattr(pytestconfig, "workerinput", {}).get("workerid", "main")
    placement = Placement.of(istio_egress_target.placement)
    names = Names(istio_egress_target.run, worker, mesh=MeshNames.of(mesh.facts), placement=placement)
    world = World(cluster, names, fixtures_folder(), timeouts.ready)
    witnesses = Witnesses(cluster, mesh, names)
    found = Judge(cluster, world, witnesses, timeouts)
    mesh.enforcement = Enforcement(
        cluster, found.staging.built, fixtures_folder(), ready=timeouts.ready, timeout=timeouts.converge
    )
    yield found
    world.leave()
    witnesses.forget()


@pytest.fixture(scope="session")
def envoy_versions(judge: Judge, mesh: Mesh) -> Callable[[str], str]:
    """The version of a client's Envoy, empty where it can't be found out: no case depends on it."""

    @cache
    def version(client: str) -> str:
        try:
            return mesh.envoy(judge.staging.pod(client))
        except (ClusterError, ApiException, HTTPError):
            return ""

    return version


@pytest.fixture
def egress(mesh: Mesh, istio_egress_target: Target, request: pytest.FixtureRequest) -> Iterator[Egress]:
    """The case of the requesting test, its configuration settled and its parameters' probes asked.

    The judge is asked for only once it is known that the case can be asked: a case that is skipped takes no pods.
    """
    case = case_of(request.function)
    if case is None:
        pytest.fail(f"{request.node.nodeid} uses `egress` but is not declared with @documented", pytrace=False)
    _stop_for(missing(case, mesh), istio_egress_target)
    judge: Judge = request.getfixturevalue("judge")
    _stop_for(missing_by_probe(case, mesh), istio_egress_target)
    keeper = KeepEvidence(request.node, judge, case)
    request.node.stash[KEEPER] = keeper
    stash = request.session.stash
    try:
        if judge.enter(case):
            stash[_ASKED] = []  # should asking fail, the next parameter asks for itself
            stash[_ASKED] = judge.examine(_parameters(request))
        record = RecordVerdict(request.node, judge, request.getfixturevalue("envoy_versions"), keeper)
        yield Egress(judge, case, stash[_ASKED], record, keeper)
    finally:
        request.node.user_properties.append((PHASES_PROPERTY, judge.phases.take()))


def _stop_for(reasons: Mapping[str, str], target: Target) -> None:
    """Skip the test for features that the mesh lacks, by name with the reason; fail it for one that is required."""
    demanded = [feature for feature in reasons if feature in target.require]
    if demanded:
        told = "; ".join(f"{feature}: {reasons[feature]}" for feature in demanded)
        pytest.fail(f"--istio-egress-require: the mesh lacks {told}", pytrace=False)
    if reasons:
        pytest.skip("; ".join(reasons.values()))


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
