"""Asking a proxy's admin interface: what with, and what comes of no answer."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from pytest_istio_egress.cluster import admin as asked
from pytest_istio_egress.cluster.admin import admin
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.pods import CommandResult, Pod

CLIENT = Pod("egress-client-k3x9q-gw0", "sleep-1", "u", "10.0.0.8", injected=True, container="curl")
GATEWAY = replace(CLIENT, name="exit-1", container="istio-proxy")
API = cast(Api, None)


@pytest.mark.parametrize(("pod", "asks"), [(CLIENT, "curl"), (GATEWAY, "pilot-agent")])
def test_only_where_the_proxy_is_alone_its_agent_asks(monkeypatch: pytest.MonkeyPatch, pod: Pod, asks: str) -> None:
    ran: list[list[str]] = []

    def run(_api: Api, _pod: Pod, command: list[str]) -> CommandResult:
        ran.append(command)
        return CommandResult(stdout="seen", stderr="", exit=0)

    monkeypatch.setattr(asked, "run", run)
    assert admin(API, pod, "/clusters") == "seen"
    assert ran[0][0] == asks
    assert ran[0][-1].endswith("clusters")


def test_no_answer_is_an_error_that_says_whose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "run", lambda *_: CommandResult(stdout="", stderr="refused", exit=7))
    with pytest.raises(ClusterError, match=r"proxy of exit-1 .* did not answer /clusters: refused"):
        admin(API, GATEWAY, "/clusters")
