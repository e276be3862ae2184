"""Requests to a proxy's admin interface: the program that sends them, and missing responses."""

from __future__ import annotations

from dataclasses import replace
from typing import cast
from urllib.parse import urlsplit

import pytest

from pytest_istio_egress.cluster import admin as admin_module
from pytest_istio_egress.cluster.admin import ADDRESS, admin
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.exec_connection import CommandResult
from pytest_istio_egress.cluster.pods import Pod

CLIENT = Pod("egress-client-k3x9q-gw0", "sleep-1", "u", "10.0.0.8", injected=True, container="curl")
GATEWAY = replace(CLIENT, name="exit-1", container="istio-proxy")
API = cast(Api, None)


@pytest.mark.parametrize(("pod", "program"), [(CLIENT, "curl"), (GATEWAY, "pilot-agent")])
def test_request_is_sent_by_pilot_agent_only_in_gateway_pods(
    monkeypatch: pytest.MonkeyPatch, pod: Pod, program: str
) -> None:
    commands: list[list[str]] = []

    def run(_api: Api, _pod: Pod, command: list[str]) -> CommandResult:
        commands.append(command)
        return CommandResult(stdout="response", stderr="", exit=0)

    monkeypatch.setattr(admin_module, "run", run)
    assert admin(API, pod, "/clusters") == "response"
    assert commands[0][0] == program
    assert commands[0][-1].endswith("clusters")


def test_missing_response_is_an_error_with_the_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_module, "run", lambda *_: CommandResult(stdout="", stderr="refused", exit=7))
    with pytest.raises(ClusterError, match=r"proxy of exit-1 .* did not respond to GET /clusters .*: refused"):
        admin(API, GATEWAY, "/clusters")


def test_admin_interface_is_found_in_both_families() -> None:
    assert urlsplit(ADDRESS).hostname == "localhost"  # Envoy listens on 127.0.0.1, or on ::1 where there is no IPv4
