"""Collaborators of the pipeline without a cluster: their attributes record the calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from pytest_istio_egress import Outcome
from pytest_istio_egress.cluster.additions import WITH_ENVOY_FILTERS, Additions
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import Resource, resource_of
from pytest_istio_egress.cluster.markers import Markers
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.proxy_sync import ProxyNotSyncedError
from pytest_istio_egress.model.access_log import AccessLogLine, parse_own_line
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.model.probe import CurlResult, Probe
from pytest_istio_egress.model.result_names import ERROR, PASSED
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.verdict.verdict import Answer, Exchange, Expectation, NoVerdict, Verdict

POD = Pod(namespace="n", name="sleep-1", uid="u", address="10.0.0.9", injected=True, container="curl")
CLIENTS = ("sleep.egress-plain", "sleep.egress-client")
CASE = Case(
    page="page/", summary="A summary of some words", folder=Path("area"), manifests=(), requires=(), outcomes=("id",)
)


LINE = AccessLogLine(
    raw="...", start="", method="GET", protocol="HTTP/1.1", status=200, flags="-", details="via_upstream", failure="-",
    duration=40, user_agent="a", request_id="r", authority="api.test", upstream="10.0.0.1:80",
    termination="-", cluster="outbound|80||api.test", upstream_local="10.1.0.1:1", downstream_local="10.0.0.1:80",
    downstream_remote="10.1.0.1:2", server_name="-", route="default",
)  # fmt: skip


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
        self.never_created: set[str] = set()
        self.own_gateways: list[str] = []
        self.waypoints: list[Pod] = []
        self.forward_proxies: list[Pod] = []
        self.additions = WITH_ENVOY_FILTERS
        self.notes: list[str] = []

    def use(self, additions: Additions, why: str) -> None:
        self.additions = additions
        self.notes.append(why)

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

    def may_have_pods(self, gateway: str, _: Iterable[dict[str, Any]]) -> bool:
        return gateway not in self.never_created

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
        self.mesh = SimpleNamespace(facts=SimpleNamespace(istio="1.31"))
        self.parse_own = parse_own_line

    def follow(self, pod: Pod) -> None:
        self.followed.append(pod)

    def gateway_addresses(self) -> frozenset[str]:
        return frozenset()

    def gateways(self) -> list[Pod]:
        return []


class FakeApplier:
    """Applies nothing; `applied` and `rendered_kinds` are the kinds of the documents it was to apply and to render."""

    def __init__(self) -> None:
        self.applied: list[str] = []
        self.rendered_kinds: list[str] = []
        self.removed: list[Resource] = []
        self.api = SimpleNamespace(resource=lambda *_: SimpleNamespace(namespaced=True))
        self.names = Names("k3x9q", "gw0")

    def rendered(self, document: dict[str, Any], namespace: str) -> dict[str, Any]:
        self.rendered_kinds.append(document["kind"])
        metadata = {"name": "a", "namespace": self.names.namespace(namespace)} | document.get("metadata", {})
        return {"apiVersion": "networking.istio.io/v1"} | document | {"metadata": metadata}

    def send(self, sent: dict[str, Any]) -> Resource:
        self.applied.append(sent["kind"])
        return resource_of(sent)

    def remove(self, resources: Sequence[Resource]) -> None:
        self.removed += resources


class FakeProxySync:
    """Waits for nothing; `waited` are the kinds of the markers that it was to wait for.

    Markers of a kind in `ignored` do not arrive.
    """

    def __init__(self, *ignored: str) -> None:
        self.ignored = ignored
        self.markers = WITH_ENVOY_FILTERS.markers
        self.waited: list[str] = []

    @property
    def waits(self) -> int:
        return len(self.waited)

    def by(self, markers: Markers) -> FakeProxySync:
        other = FakeProxySync(*self.ignored)
        other.markers = markers
        other.waited = self.waited
        return other

    def wait(self, _: Sequence[Pod], __: Sequence[Pod] = ()) -> None:
        self.waited.append(self.markers.kind)
        if self.markers.kind in self.ignored:
            raise ProxyNotSyncedError("istiod sent nothing")

    def received(self, _: Pod) -> bool:
        return self.markers.kind not in self.ignored


class FakeProber:
    """Gives these results (passed, failed or error), one round after the other; the last one is repeated.

    A round is one result for all its probes, or several for one after the other.
    """

    def __init__(self, *rounds: str | Sequence[str]) -> None:
        self.rounds = list(rounds)
        self.attempts: list[int] = []
        self.own_at_once: list[int] = []
        self.gateways: dict[str, list[Pod]] = {}
        self.lookup: FakePodLookup | None = None

    def verify(self, expectations: Sequence[Expectation], attempt: int, own_at_once: int) -> list[Answer]:
        self.attempts.append(attempt)
        self.own_at_once.append(own_at_once)
        results = self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]
        each = [results] * len(expectations) if isinstance(results, str) else results
        return [answer_to(pair, result) for pair, result in zip(expectations, each, strict=True)]

    def gateway_pods(self, at: str) -> list[Pod]:
        pods = self.gateways.get(at, [])
        if self.lookup:
            self.lookup.pods |= dict.fromkeys([at], pods[0])
        return pods


def answer_to(expectation: Expectation, result: str) -> Answer:
    """Return an answer with a result: passed, failed or error."""
    if result == ERROR:
        return NoVerdict(probe=expectation[0], expected=expectation[1], error=ClusterError("the pod went"))
    return verdict_on(expectation, passed=result == PASSED)


def verdict_on(expectation: Expectation, *, passed: bool) -> Verdict:
    """Return a verdict; of a failed one, curl found no connection."""
    probe, expected = expectation
    differences = () if passed else (Difference("client", "curl exit code", "0", "7"),)
    exchange = exchange_of(probe, exit=0 if passed else 7)
    return Verdict(probe=probe, expected=expected, exchange=exchange, differences=differences, attempts=1)


def exchange_of(probe: Probe, *, exit: int = 0, status: int = 0, sidecar: AccessLogLine | None = None) -> Exchange:  # noqa: A002  # curl's word
    """Return the exchange of a probe of which only these facts are known."""
    curl = CurlResult(
        exit=exit, status=status, error="", seconds=0.1, local_address="", local_port=0, remote_address="",
        http_version="", headers={}, body="",
    )  # fmt: skip
    return Exchange(
        probe=probe, command=(), kubectl_command="kubectl exec", began=0.0, curl=curl, sidecar=sidecar, gateway=None,
        addresses={},
    )  # fmt: skip


def worker_context(environment: FakeEnvironment, logs: FakeAccessLogs | None = None) -> WorkerContext:
    """Return a context whose waits for convergence end at the first look."""
    timeouts = Timeouts().scaled(0.0)
    return WorkerContext(cast(Api, None), cast(Any, environment), cast(Any, logs or FakeAccessLogs()), timeouts)


def case_setup(context: WorkerContext, applier: FakeApplier, proxy_sync: FakeProxySync) -> CaseSetup:
    """Return a real CaseSetup on fake collaborators."""
    return CaseSetup(context, cast(Any, applier), cast(Any, proxy_sync))


PASSES = Outcome(status=200)
