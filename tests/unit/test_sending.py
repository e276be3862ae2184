"""A probe whose source ports are taken is sent from others; where none is free, that is no verdict on the mesh."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress import asking, get
from pytest_istio_egress.asking import Asking
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import Pod, Ran
from pytest_istio_egress.phases import Phases
from pytest_istio_egress.staging import Staging
from pytest_istio_egress.timeouts import Timeouts

POD = Pod(namespace="n", name="sleep-1", uid="u", address="10.0.0.9", injected=False, container="curl")
PROBE = get("http://api.test/")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[int]], list[str]]:
    """Have curl exit so each time that it is run; return the ranges of ports that it is given."""
    given: list[str] = []

    def curl(exits: Sequence[int]) -> list[str]:
        left = list(exits)

        def run(_: Api, __: Pod, command: Sequence[str], **___: object) -> Ran:
            given.append(command[command.index("--local-port") + 1])
            about = {
                "exitcode": left.pop(0), "http_code": 0, "errormsg": "bind failed", "time_total": 0.1, "local_ip": "",
                "local_port": 0, "remote_ip": "", "http_version": "0",
            }  # fmt: skip
            separator = command[command.index("--write-out") + 1].partition("%{json}")[0]
            return Ran(stdout=f"{separator}{json.dumps(about)}{separator}{{}}", stderr="", exit=0)

        monkeypatch.setattr(asking, "run", run)
        return given

    return curl


@pytest.fixture
def one() -> Asking:
    """Return who asks, without a cluster."""
    names = Names("k3x9q", "gw0", addresses={"192.0.2.80": "10.96.0.7"})
    world: Any = SimpleNamespace(pod=lambda _: POD, names=names, forward_proxies=[])
    witnesses: Any = SimpleNamespace(gateway_addresses=frozenset)
    return Asking(Staging(cast(Api, None), world, witnesses, Timeouts(), Phases()))


def test_ports_that_are_taken_are_left(one: Asking, sent: Callable[[Sequence[int]], list[str]]) -> None:
    given = sent([45, 7])
    assert one.send(PROBE).curl.exit == 7
    assert len(set(given)) == len(given) == 2


def test_without_a_free_port_there_is_no_verdict(one: Asking, sent: Callable[[Sequence[int]], list[str]]) -> None:
    sent([45] * 10)
    with pytest.raises(ClusterError, match=r"no free source port in sleep\.egress-client: bind failed"):
        one.send(PROBE)
