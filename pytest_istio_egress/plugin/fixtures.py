"""The fixtures: `egress` is public; the others have private names, so that a user's own cannot replace them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.additions import additions_where
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import Applier
from pytest_istio_egress.cluster.environment import Environment
from pytest_istio_egress.cluster.features import missing, missing_by_probe
from pytest_istio_egress.cluster.gateway_log import GatewayLogCheck
from pytest_istio_egress.cluster.log_lookup import AccessLogs
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.mesh_names import MeshNames
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.network_policies import NetworkPolicyCheck
from pytest_istio_egress.cluster.prepared_namespaces import PreparedNamespaces
from pytest_istio_egress.cluster.proxy_features import missing_in_proxy
from pytest_istio_egress.cluster.run_namespaces import CreatedNamespaces
from pytest_istio_egress.cluster.waypoint_markers import WaypointMarkers
from pytest_istio_egress.model.case import AMBIENT, Case, InvalidTestError, case_of
from pytest_istio_egress.model.mesh_facts import MeshFacts
from pytest_istio_egress.model.placement import Placement
from pytest_istio_egress.model.probe import CLIENT
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.pipeline.egress import Egress
from pytest_istio_egress.pipeline.own_hosts import check_expectation
from pytest_istio_egress.pipeline.runner import CaseRunner, case_runner
from pytest_istio_egress.pipeline.verdicts import Verdicts
from pytest_istio_egress.pipeline.workload_turns import WorkloadTurns
from pytest_istio_egress.plugin.failure_reports import error_line
from pytest_istio_egress.plugin.parameters import expectations_of, expectations_of_item
from pytest_istio_egress.plugin.recorder import EvidenceCollector, VerdictRecorder
from pytest_istio_egress.plugin.stash import EVIDENCE_COLLECTOR, SETTINGS, TARGET, VERDICTS
from pytest_istio_egress.plugin.worker import ENVIRONMENT_FAILED, shared_folder
from pytest_istio_egress.report.results import NOTE_PROPERTY, PHASES_PROPERTY
from pytest_istio_egress.run_target import Target
from pytest_istio_egress.run_target.mesh_detection import namespace_of_grants
from pytest_istio_egress.suite.discovery import fixtures_folder
from pytest_istio_egress.verdict.verdict import Expectation


@pytest.fixture(scope="session")
def _istio_egress_target(pytestconfig: pytest.Config) -> Target:
    """The cluster of this run."""
    return pytestconfig.stash[TARGET]


@pytest.fixture(scope="session")
def _istio_egress_api(_istio_egress_target: Target) -> Iterator[Api]:
    """The connection to the cluster's API server."""
    api = Api(_istio_egress_target.kubeconfig, _istio_egress_target.context, _istio_egress_target.timeouts)
    yield api
    api.idle_shells.close()


@pytest.fixture(scope="session")
def _istio_egress_mesh(_istio_egress_api: Api, _istio_egress_target: Target) -> Mesh:
    """The mesh and its facts."""
    facts = _istio_egress_target.mesh
    grants_in = namespace_of_grants(_istio_egress_target)
    return Mesh(_istio_egress_api, MeshFacts.of(facts) if facts else None, grants_in=grants_in)


@pytest.fixture(scope="session")
def _istio_egress_missing(_istio_egress_mesh: Mesh, _istio_egress_target: Target) -> Callable[[Case], dict[str, str]]:
    """What the mesh lacks for a test. It is found out once: every parameter needs it, and it reads all manifests."""
    found: dict[int, dict[str, str]] = {}

    def missing_once(case: Case) -> dict[str, str]:
        if id(case) not in found:  # a test has its own, as long as its module lives
            found[id(case)] = missing(case, _istio_egress_mesh, fixtures_folder(), _istio_egress_target.refused)
        return found[id(case)]

    return missing_once


@pytest.fixture(scope="session")
def _istio_egress_runner(
    _istio_egress_api: Api, _istio_egress_mesh: Mesh, _istio_egress_target: Target, pytestconfig: pytest.Config
) -> Iterator[CaseRunner]:
    """The pipeline on this worker's part of the cluster; its clients are created when a test first needs them."""
    api, timeouts = _istio_egress_api, _istio_egress_api.timeouts
    worker = getattr(pytestconfig, "workerinput", {}).get("workerid", "gw0")
    placement = Placement.of(_istio_egress_target.placement)
    mesh_names = MeshNames.of(_istio_egress_mesh.facts)
    names = Names(_istio_egress_target.run, worker, mesh=mesh_names, placement=placement)
    target, applier = _istio_egress_target, Applier(api, names)
    provided = PreparedNamespaces(applier, target.prepared_workers) if target.prepared else CreatedNamespaces(applier)
    additions = additions_where(target.refused)
    environment = Environment(api, names, fixtures_folder(), timeouts.ready, additions, provided)
    access_logs = AccessLogs(api, _istio_egress_mesh, names)
    runner = case_runner(WorkerContext(api, environment, access_logs, timeouts))
    settings = pytestconfig.stash[SETTINGS]
    runner.prober.own_authority = settings.ca
    runner.prober.turns = WorkloadTurns(shared_folder(pytestconfig))
    runner.fail_unsteady = lambda probe: settings.fails_unsteady(own_workload=probe.from_own_workload)
    pytestconfig.hook.pytest_istio_egress_runner(runner=runner)
    yield runner
    environment.leave()
    access_logs.forget()


@pytest.fixture(scope="session")
def _istio_egress_network_policy(_istio_egress_runner: CaseRunner) -> NetworkPolicyCheck:
    """Whether the cluster enforces NetworkPolicy; probed when a test first requires it."""
    context = _istio_egress_runner.context
    return NetworkPolicyCheck(
        context.api,
        context.names,
        _istio_egress_runner.case_setup.ensure_environment,
        fixtures_folder(),
        ready=context.timeouts.ready,
        timeout=context.timeouts.converge,
    )


@pytest.fixture(scope="session")
def _istio_egress_gateway_log(_istio_egress_runner: CaseRunner) -> GatewayLogCheck:
    """Whether the log of the mesh's egress gateway is evidence; looked at when a test first needs it."""
    context = _istio_egress_runner.context
    return GatewayLogCheck(
        context.api,
        context.names,
        _istio_egress_runner.case_setup.ensure_environment,
        context.access_logs.gateways,
        fixtures_folder(),
        timeout=context.timeouts.settle,
    )


@pytest.fixture(scope="session")
def _istio_egress_envoy_versions(_istio_egress_runner: CaseRunner, _istio_egress_mesh: Mesh) -> Callable[[str], str]:
    """The version of a client's Envoy, empty where it cannot be read: no test depends on it."""

    @cache
    def version(client: str) -> str:
        try:
            return _istio_egress_mesh.envoy(_istio_egress_runner.case_setup.pod(client))
        except (ClusterError, ApiException, HTTPError):
            return ""

    return version


@pytest.fixture
def egress(
    _istio_egress_mesh: Mesh,
    _istio_egress_target: Target,
    _istio_egress_missing: Callable[[Case], dict[str, str]],
    request: pytest.FixtureRequest,
) -> Iterator[Egress]:
    """The requesting test in its configured mesh, with all its parameters probed.

    The runner is requested only when the mesh has the features that the test needs: a skipped test creates no pods.
    """
    case = case_of(request.function)
    if case is None:
        raise InvalidTestError(f"{request.node.nodeid} uses `egress`: declare it with @documented(...)")
    own = expectations_of_item(request.node)
    for expectation in own:
        check_expectation(expectation)
    _stop_for(_istio_egress_missing(case), _istio_egress_target)
    runner: CaseRunner = request.getfixturevalue("_istio_egress_runner")
    network_policy: NetworkPolicyCheck = request.getfixturevalue("_istio_egress_network_policy")
    gateway_log: GatewayLogCheck = request.getfixturevalue("_istio_egress_gateway_log")
    collector = EvidenceCollector(request.node, runner, case)
    request.node.stash[EVIDENCE_COLLECTOR] = collector
    try:
        probed = missing_by_probe(case, expectations_of(request), _istio_egress_mesh, network_policy, gateway_log)
        _stop_for(probed, _istio_egress_target)
        verdicts = _verdicts(runner, case, request, _istio_egress_target)
        versions = request.getfixturevalue("_istio_egress_envoy_versions")
        record = VerdictRecorder(request.node, runner, versions, collector)
        subject = Egress(runner, runner.case_setup, case, verdicts, record=record, collect=collector)
        subject.raise_errors(own)
        yield subject
    finally:
        request.node.user_properties.append((PHASES_PROPERTY, runner.context.timer.take()))
        environment = runner.context.environment
        request.node.user_properties += [(NOTE_PROPERTY, note) for note in environment.notes]
        environment.notes.clear()
        if failure := environment.failure:
            # Each further test would end in the same error.
            request.session.shouldstop = f"{ENVIRONMENT_FAILED}: {error_line(failure)}"


def _verdicts(runner: CaseRunner, case: Case, request: pytest.FixtureRequest, target: Target) -> Verdicts:
    """Set the test up, and return the verdicts on its parameters; the first of them has all of them probed."""
    stash = request.session.stash
    _stop_for(_missing_markers(runner, case), target)
    entered = runner.enter(case)
    if entered:
        stash[VERDICTS] = Verdicts()
    _stop_for(missing_in_proxy(case, lambda: runner.case_setup.config(CLIENT)), target)
    _stop_for(_missing_log(runner, expectations_of(request)), target)
    if entered:
        stash[VERDICTS].add(runner.verify([pair for pair in expectations_of(request) if _is_valid(pair)]))
    verdicts = stash[VERDICTS]
    # Probing may have failed for the parameter before this one.
    unanswered = [pair for pair in expectations_of_item(request.node) if verdicts.pending(pair) is None]
    verdicts.add(runner.verify(unanswered))
    return verdicts


def _missing_markers(runner: CaseRunner, case: Case) -> dict[str, str]:
    """Return that nothing shows when a waypoint is in sync, where a test needs one: its marker is an EnvoyFilter."""
    if not case.is_ambient:
        return {}
    runner.case_setup.ensure_environment()
    if runner.context.environment.additions.markers.kind == WaypointMarkers.kind:
        return {}
    return {AMBIENT: "the control plane ignores EnvoyFilters, which show when a waypoint is in sync"}


def _missing_log(runner: CaseRunner, expectations: Sequence[Expectation]) -> dict[str, str]:
    """Return that the log of the suite's own clients cannot serve, where a test needs a line of it."""
    # A test without such parameters states its outcomes in its body.
    needed = not expectations or any(outcome.sidecar and not probe.from_own_workload for probe, outcome in expectations)
    return {"access-log": runner.case_setup.log_problem} if needed and runner.case_setup.log_problem else {}


def _is_valid(expectation: Expectation) -> bool:
    """Whether a parameter is probed beside the others; an invalid one is an error of its own."""
    try:
        check_expectation(expectation)
    except InvalidTestError:
        return False
    return True


def _stop_for(reasons: Mapping[str, str], target: Target) -> None:
    """Skip the test for features that the mesh lacks, with the reasons; fail it for a feature that is required."""
    required = [feature for feature in reasons if feature in target.require]
    if required:
        lacking = "; ".join(f"{feature}: {reasons[feature]}" for feature in required)
        pytest.fail(f"the mesh lacks {lacking} (required by --istio-egress-require)", pytrace=False)
    if reasons:
        pytest.skip("; ".join(reasons.values()))
