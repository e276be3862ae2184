"""The source ports of a probe, and the pods of a gateway that Istio may not have created yet."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from failures import LINE
from fake_cluster import (
    POD,
    FakeAccessLogs,
    FakeApplier,
    FakeEnvironment,
    FakeProxySync,
    case_setup,
    exchange_of,
    worker_context,
)

from pytest_istio_egress import Hop, Outcome, Probe, get, reached, reached_by_ztunnel, workload
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.authority import Authorities
from pytest_istio_egress.cluster.exec_connection import CommandResult
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.readiness import NoPodError, NotReadyError
from pytest_istio_egress.model.case import InvalidTestError
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.pipeline import prober as prober_module
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.prober import Prober
from pytest_istio_egress.pipeline.workload_turns import WorkloadTurns
from pytest_istio_egress.verdict.verdict import Exchange, NoVerdict, Verdict

PROBE = get("http://api.test/")
IN_CONTAINER = "/tmp/ca.pem"  # of a container
GATEWAY = "exit.egress-gateway"

Curl = Callable[[Sequence[int]], list[str]]
"""Has curl exit with these codes, one after the other; returns the ranges of ports that it is given."""


@pytest.fixture
def curl(monkeypatch: pytest.MonkeyPatch) -> Curl:
    ranges: list[str] = []

    def prepare(exits: Sequence[int]) -> list[str]:
        left = list(exits)

        def run(_: Api, __: Pod, command: Sequence[str], **___: object) -> CommandResult:
            ranges.append(command[command.index("--local-port") + 1])
            figures = {
                "exitcode": left.pop(0), "http_code": 0, "errormsg": "bind failed", "time_total": 0.1, "local_ip": "",
                "local_port": 0, "remote_ip": "", "http_version": "0",
            }  # fmt: skip
            separator = command[command.index("--write-out") + 1].partition("%{json}")[0]
            return CommandResult(stdout=f"{separator}{json.dumps(figures)}{separator}{{}}", stderr="", exit=0)

        monkeypatch.setattr(prober_module, "run", run)
        return ranges

    return prepare


@pytest.fixture
def environment() -> FakeEnvironment:
    environment = FakeEnvironment()
    environment.build()
    return environment


@pytest.fixture
def setup(environment: FakeEnvironment) -> CaseSetup:
    return case_setup(worker_context(environment), FakeApplier(), FakeProxySync())


@pytest.fixture
def prober(setup: CaseSetup) -> Prober:
    return Prober(setup.context, setup)


def test_taken_source_ports_are_replaced_by_others(prober: Prober, curl: Curl) -> None:
    ranges = curl([45, 7])
    assert prober.send(PROBE).curl.exit == 7
    assert len(set(ranges)) == len(ranges) == 2


def test_probe_without_a_free_source_port_is_an_error(prober: Prober, curl: Curl) -> None:
    curl([45] * 10)
    with pytest.raises(ClusterError, match=r"no free source port in sleep\.egress-client: bind failed"):
        prober.send(PROBE)


def test_gateway_without_pods_is_waited_for_once_per_sync(
    prober: Prober, setup: CaseSetup, environment: FakeEnvironment
) -> None:
    environment.pod_error = NoPodError("no pod was created")
    assert [prober.gateway_pods(GATEWAY) for _ in range(2)] == [[], []]
    assert environment.pods_requested == [GATEWAY]
    setup.syncs += 1  # resources that were applied since may bring it
    assert prober.gateway_pods(GATEWAY) == []
    assert len(environment.pods_requested) == 2


def test_gateway_that_nothing_creates_is_not_waited_for(prober: Prober, environment: FakeEnvironment) -> None:
    environment.never_created = {GATEWAY}
    assert prober.gateway_pods(GATEWAY) == []
    assert environment.pods_requested == []


def test_gateway_pod_that_is_not_ready_is_an_error(prober: Prober, environment: FakeEnvironment) -> None:
    environment.pod_error = NotReadyError("container istio-proxy waits: ImagePullBackOff")
    with pytest.raises(NotReadyError, match="ImagePullBackOff"):
        prober.gateway_pods(GATEWAY)


def test_unknown_client_is_an_error_of_the_test_and_not_waited_for(
    prober: Prober, environment: FakeEnvironment
) -> None:
    with pytest.raises(
        InvalidTestError, match=r"unknown client 'slep\.egress-client' \(choose from sleep\.egress-plain"
    ):
        prober.send(get("http://api.test/", client="slep.egress-client"))
    assert environment.pods_requested == []


@pytest.mark.parametrize(("exit", "waits"), [(28, 3.0 + 15.0), (56, 3.0)])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_ztunnels_line_of_a_request_that_timed_out_is_waited_for_longer(
    environment: FakeEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    exit: int,  # noqa: A002  # curl's word
    waits: float,
    scale: float,
) -> None:
    waited: list[float] = []
    logs = FakeAccessLogs()
    monkeypatch.setattr(logs, "ztunnel_line", lambda *_, timeout, **__: waited.append(timeout), raising=False)
    monkeypatch.setattr(environment, "waypoints", [], raising=False)
    monkeypatch.setattr(environment, "pod", lambda _: replace(POD, injected=False, ambient=True))
    context = replace(worker_context(environment, logs), timeouts=Timeouts(log_line=3.0, tunnel=15.0).scaled(scale))
    prober = Prober(context, case_setup(context, FakeApplier(), FakeProxySync()))
    monkeypatch.setattr(prober, "send", lambda probe: exchange_of(probe, exit=exit))
    prober.verify([(PROBE, reached_by_ztunnel())], 1)
    assert waited == [waits * scale]


def test_gateway_that_refused_the_connection_is_known_by_its_address(
    environment: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = FakeAccessLogs()
    environment.pod_lookup.pods[GATEWAY] = POD
    refused = replace(LINE, flags="UF", upstream=f"{POD.address}:8080", upstream_local="-")
    monkeypatch.setattr(logs, "sidecar_line", lambda *_, **__: refused, raising=False)
    context = worker_context(environment, logs)
    prober = Prober(context, case_setup(context, FakeApplier(), FakeProxySync()))
    command = ("curl", "--user-agent", "x")
    monkeypatch.setattr(prober, "send", lambda probe: replace(exchange_of(probe), command=command))
    (verdict,) = prober.verify([(PROBE, reached(gateway=Hop(at=GATEWAY)))], 1)
    assert isinstance(verdict, Verdict)
    assert verdict.exchange.went_to_gateway


def test_gateway_that_is_not_ready_is_no_error_where_the_sidecar_did_not_reach_it(
    environment: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = FakeAccessLogs()
    refused = replace(LINE, flags="UF", upstream="10.1.0.7:8080", upstream_local="-")
    monkeypatch.setattr(logs, "sidecar_line", lambda *_, **__: refused, raising=False)
    context = worker_context(environment, logs)
    prober = Prober(context, case_setup(context, FakeApplier(), FakeProxySync()))
    monkeypatch.setattr(
        prober, "send", lambda probe: replace(exchange_of(probe), command=("curl", "--user-agent", "x"))
    )

    def not_ready(_: str | None) -> list[Pod]:
        raise NotReadyError("container istio-proxy is waiting: CrashLoopBackOff")

    monkeypatch.setattr(prober, "gateway_pods", not_ready)
    (verdict,) = prober.verify([(PROBE, reached(gateway=Hop(at=GATEWAY)))], 1)
    assert isinstance(verdict, Verdict)


OWN = get("https://api.stripe.test/", client=workload("deployment/payments", namespace="payments"))


def test_probes_of_own_workloads_are_sent_one_after_the_other(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    together = threading.Barrier(2, timeout=10)

    def send(probe: Probe) -> Exchange:
        order.append(f"begin {probe.url}")
        if probe.client == PROBE.client:
            together.wait()  # the suite's own clients send side by side: both have to be here
        order.append(f"end {probe.url}")
        return exchange_of(probe)

    monkeypatch.setattr(prober, "send", send)
    monkeypatch.setattr(prober, "_with_log_lines", lambda _, sent: sent)
    own = [replace(OWN, url=f"https://{name}.test/") for name in "ab"]
    prober.verify([(probe, Outcome(sidecar=False)) for probe in (own[0], PROBE, own[1], PROBE)], 1)
    assert [line for line in order if "api.test" not in line] == [
        f"{what} https://{name}.test/" for name in "ab" for what in ("begin", "end")
    ]


def test_turn_of_each_own_workload_is_held_while_its_probes_are_sent(
    prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[set[str]] = []
    sent_meanwhile: list[tuple[bool, bool]] = []

    class Turns(WorkloadTurns):
        @contextmanager
        def of(self, workloads: Iterable[str]) -> Iterator[None]:
            held.append(set(workloads))
            yield
            held.pop()

    def send(probe: Probe) -> Exchange:
        sent_meanwhile.append((probe.from_own_workload, held == [{OWN.client}]))
        return exchange_of(probe)

    prober.turns = Turns()
    monkeypatch.setattr(prober, "send", send)
    monkeypatch.setattr(prober, "_with_log_lines", lambda _, sent: sent)
    prober.verify([(probe, Outcome(sidecar=False)) for probe in (OWN, PROBE, OWN)], 1)
    assert sorted(sent_meanwhile) == [(False, False), (True, True), (True, True)]


def test_answers_keep_the_order_of_the_parameters_whoever_sent_them(
    prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(probe: Probe) -> Exchange:
        if probe.url.endswith("/error"):
            raise ClusterError("the pod went")
        return exchange_of(probe)

    monkeypatch.setattr(prober, "send", send)
    monkeypatch.setattr(prober, "_with_log_lines", lambda _, sent: sent)
    probes = [OWN, PROBE, replace(OWN, url="https://own.test/error"), get("http://api.test/error"), PROBE]
    answers = prober.verify([(probe, Outcome(sidecar=False)) for probe in probes], 1)
    assert [answer.probe for answer in answers] == probes
    assert [isinstance(answer, NoVerdict) for answer in answers] == [False, False, True, True, False]


@pytest.mark.parametrize(
    ("probe", "file"),
    [
        (OWN, "company.pem"),
        (replace(OWN, ca=Path("own.pem")), "own.pem"),
        (get("https://api.test/", ca="own.pem"), "own.pem"),
        (replace(OWN, url="http://api.stripe.test/"), None),
        (get("https://api.test/"), None),
    ],
    ids=["option", "argument", "argument-of-the-suites-client", "no-https", "no-own-workload"],
)
def test_authority_of_https_is_that_of_the_probe_or_the_option(
    prober: Prober, setup: CaseSetup, curl: Curl, monkeypatch: pytest.MonkeyPatch, probe: Probe, file: str | None
) -> None:
    curl([0])
    copied: list[Path] = []

    def copy(_: Authorities, __: Pod, file: Path) -> str:
        copied.append(file)
        return IN_CONTAINER

    monkeypatch.setattr(Authorities, "path", copy)
    prober.own_authority = Path("/etc/company.pem")
    setup.folder = Path("/tests")
    command = prober.send(probe).command
    expected = {"company.pem": Path("/etc/company.pem"), "own.pem": Path("/tests/own.pem")}
    assert copied == ([expected[file]] if file else [])
    assert (IN_CONTAINER in command) is bool(file)
