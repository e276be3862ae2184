"""Collaborators of the pipeline without a cluster: their attributes record the calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from pytest_istio_egress import Outcome
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.result_names import PASSED
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.verdict.verdict import Expectation, Verdict

POD = Pod(namespace="n", name="sleep-1", uid="u", address="10.0.0.9", injected=True, container="curl")
CLIENTS = ("sleep.egress-plain", "sleep.egress-client")
CASE = Case(
    page="page/", summary="A summary of some words", folder=Path("area"), manifests=(), requires=(), outcomes=("id",)
)


class FakePodLookup:
    """Returns the pods of `pods`."""

    def __init__(self) -> None:
        self.pods: dict[str, Pod] = {}

    def cached(self) -> dict[str, Pod]:
        return dict(self.pods)


class FakeEnvironment:
    """Creates nothing; `builds` counts how often it was to create the suite's clients and servers."""

    def __init__(self) -> None:
        self.names = Names("k3x9q", "gw0")
        self.pod_lookup = FakePodLookup()
        self.built = False
        self.builds = 0
        self.failure: Exception | None = None
        self.pod_error: Exception | None = None
        self.pods_requested: list[str] = []
        self.own_gateways: list[str] = []
        self.forward_proxies: list[Pod] = []

    def build(self) -> None:
        self.builds += 1
        self.built = True
        self.names.addresses.update({"192.0.2.80": "10.96.0.7"})

    @property
    def clients(self) -> tuple[str, ...]:
        return CLIENTS if self.built else ()

    def needed(self, fixtures: Iterable[str], requires: Iterable[str]) -> list[str]:  # noqa: ARG002  # no mesh to ask
        return list(fixtures)

    def activate(self, fixtures: Iterable[str]) -> None: ...

    def register_workloads(self, documents: Iterable[dict[str, Any]]) -> None: ...

    def forget_case_workloads(self) -> None: ...

    def pod(self, client: str) -> Pod:
        self.pods_requested.append(client)
        if self.pod_error:
            raise self.pod_error
        assert self.built or "/" in client, f"{client} was never created"
        return POD


class FakeAccessLogs:
    """Follows no log; `followed` are the pods whose log it was to follow."""

    def __init__(self) -> None:
        self.followed: list[Pod] = []

    def follow(self, pod: Pod) -> None:
        self.followed.append(pod)

    def gateway_addresses(self) -> frozenset[str]:
        return frozenset()

    def gateways(self) -> list[Pod]:
        return []


class FakeApplier:
    """Applies nothing; `applied` are the kinds of the documents it was to apply."""

    def __init__(self) -> None:
        self.applied: list[str] = []

    def rendered(self, document: dict[str, Any], _: str) -> dict[str, Any]:
        return document

    def apply(self, documents: Sequence[dict[str, Any]], _: str) -> list[str]:
        self.applied += [document["kind"] for document in documents]
        return []

    def remove(self, resources: Sequence[object]) -> None: ...


class FakeProxySync:
    """Waits for nothing; `waits` counts how often it was to wait."""

    def __init__(self) -> None:
        self.waits = 0

    def wait(self, _: Sequence[Pod], __: Sequence[Pod]) -> None:
        self.waits += 1


class FakeProber:
    """Gives these results (passed or failed), one round after the other; the last one is repeated."""

    def __init__(self, *rounds: str) -> None:
        self.rounds = list(rounds)
        self.attempts: list[int] = []
        self.gateways: dict[str, list[Pod]] = {}
        self.lookup: FakePodLookup | None = None

    def verify(self, expectations: Sequence[Expectation], attempt: int) -> list[Verdict]:
        self.attempts.append(attempt)
        result = self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]
        return [verdict_on(expectation, passed=result == PASSED) for expectation in expectations]

    def gateway_pods(self, at: str) -> list[Pod]:
        pods = self.gateways.get(at, [])
        if self.lookup:
            self.lookup.pods |= dict.fromkeys([at], pods[0])
        return pods


def verdict_on(expectation: Expectation, *, passed: bool) -> Verdict:
    """Return a verdict without an exchange; a failed one has a difference that says nothing."""
    probe, expected = expectation
    differences: Any = () if passed else ("a difference",)
    return Verdict(probe=probe, expected=expected, exchange=cast(Any, None), differences=differences, attempts=1)


def worker_context(environment: FakeEnvironment, logs: FakeAccessLogs | None = None) -> WorkerContext:
    """Return a context whose waits for convergence end at the first look."""
    timeouts = Timeouts().scaled(0.0)
    return WorkerContext(cast(Api, None), cast(Any, environment), cast(Any, logs or FakeAccessLogs()), timeouts)


def case_setup(context: WorkerContext, applier: FakeApplier, proxy_sync: FakeProxySync) -> CaseSetup:
    """Return a real CaseSetup on fake collaborators."""
    return CaseSetup(context, cast(Any, applier), cast(Any, proxy_sync))


PASSES = Outcome(status=200)
