"""The source ports of a probe, and the pods of a gateway that Istio may not have created yet."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from fake_cluster import FakeApplier, FakeEnvironment, FakeProxySync, case_setup, worker_context

from pytest_istio_egress import get
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.pods import CommandResult, Pod
from pytest_istio_egress.cluster.readiness import NoPodError, NotReadyError
from pytest_istio_egress.pipeline import prober as prober_module
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.prober import Prober

PROBE = get("http://api.test/")
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


def test_gateway_pod_that_is_not_ready_is_an_error(prober: Prober, environment: FakeEnvironment) -> None:
    environment.pod_error = NotReadyError("container istio-proxy waits: ImagePullBackOff")
    with pytest.raises(NotReadyError, match="ImagePullBackOff"):
        prober.gateway_pods(GATEWAY)
