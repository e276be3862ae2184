"""A probe whose source ports are taken is sent from others; where none is free, that is no verdict on the mesh."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress import get
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import CommandResult, Pod
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.pipeline import prober as prober
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.phase_timer import PhaseTimer
from pytest_istio_egress.pipeline.prober import Prober

POD = Pod(namespace="n", name="sleep-1", uid="u", address="10.0.0.9", injected=False, container="curl")
PROBE = get("http://api.test/")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[int]], list[str]]:
    """Have curl exit so each time that it is run; return the ranges of ports that it is given."""
    given: list[str] = []

    def curl(exits: Sequence[int]) -> list[str]:
        left = list(exits)

        def run(_: Api, __: Pod, command: Sequence[str], **___: object) -> CommandResult:
            given.append(command[command.index("--local-port") + 1])
            about = {
                "exitcode": left.pop(0), "http_code": 0, "errormsg": "bind failed", "time_total": 0.1, "local_ip": "",
                "local_port": 0, "remote_ip": "", "http_version": "0",
            }  # fmt: skip
            separator = command[command.index("--write-out") + 1].partition("%{json}")[0]
            return CommandResult(stdout=f"{separator}{json.dumps(about)}{separator}{{}}", stderr="", exit=0)

        monkeypatch.setattr(prober, "run", run)
        return given

    return curl


@pytest.fixture
def one() -> Prober:
    """Return who asks, without a cluster."""
    names = Names("k3x9q", "gw0", addresses={"192.0.2.80": "10.96.0.7"})
    environment: Any = SimpleNamespace(pod=lambda _: POD, names=names, forward_proxies=[])
    access_logs: Any = SimpleNamespace(gateway_addresses=frozenset)
    return Prober(CaseSetup(cast(Api, None), environment, access_logs, Timeouts(), PhaseTimer()))


def test_ports_that_are_taken_are_left(one: Prober, sent: Callable[[Sequence[int]], list[str]]) -> None:
    given = sent([45, 7])
    assert one.send(PROBE).curl.exit == 7
    assert len(set(given)) == len(given) == 2


def test_without_a_free_port_there_is_no_verdict(one: Prober, sent: Callable[[Sequence[int]], list[str]]) -> None:
    sent([45] * 10)
    with pytest.raises(ClusterError, match=r"no free source port in sleep\.egress-client: bind failed"):
        one.send(PROBE)
