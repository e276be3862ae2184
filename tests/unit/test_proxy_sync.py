"""Waiting until proxies have their configuration, where there is no shell in a pod that could ask for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import repeat
from typing import Any, cast

import pytest

from pytest_istio_egress.cluster import admin
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import Applier
from pytest_istio_egress.cluster.pods import CommandResult, GoneError, Pod
from pytest_istio_egress.cluster.proxy_sync import ProxyNotSyncedError, ProxySync, marker

EXIT = Pod("egress-gateway-k3x9q-gw0", "exit-1", "u", "10.0.0.9", injected=True, container="istio-proxy")


class Applied(Applier):
    """Keeps what would be applied."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def apply(self, documents: Any, namespace: str) -> Any:
        self.sent += [(namespace, document) for document in documents]


def proxy_sync(
    monkeypatch: pytest.MonkeyPatch, answers: Iterator[str | Exception], timeout: float = 5.0, dumped: str = "{}"
) -> tuple[ProxySync, Applied]:
    """Return one whose gateway answers so, question by question; each must be for the marker that was applied.

    `dumped` is what it says of all of its listeners, clusters or routes.
    """
    applied = Applied()

    def run(_api: Api, pod: Pod, command: list[str]) -> CommandResult:
        assert pod is EXIT
        if "name_regex" not in command[-1]:
            return CommandResult(stdout=dumped, stderr="", exit=0)
        name = applied.sent[-1][1]["spec"]["configPatches"][-1]["patch"]["value"]["name"]
        assert f"^{name}$" in command[-1]
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return CommandResult(stdout=answer, stderr="", exit=0)

    monkeypatch.setattr(admin, "run", run)
    return ProxySync(cast(Api, None), applied, timeout), applied


ACTIVE = '{"configs": [{"active_state": {}}]}'


def test_a_gateway_is_asked_until_its_marker_is_active(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["{}", '{"configs": [{"warming_state": {}}]}', ACTIVE])
    ready, applied = proxy_sync(monkeypatch, answers)
    ready.settle([], [EXIT])
    assert next(answers, None) is None
    assert [namespace for namespace, _ in applied.sent] == [EXIT.namespace]


def test_a_gateway_that_is_started_anew_meanwhile_is_asked_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: Iterator[str | Exception] = iter([ClusterError("the container is not running"), ACTIVE])
    ready, _ = proxy_sync(monkeypatch, answers)
    ready.settle([], [EXIT])
    assert next(answers, None) is None


def test_a_gateway_that_is_replaced_is_no_longer_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ready, _ = proxy_sync(monkeypatch, repeat(GoneError("no such pod")))
    with pytest.raises(GoneError):
        ready.settle([], [EXIT])


def test_a_gateway_that_gets_nothing_makes_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    ready, _ = proxy_sync(monkeypatch, repeat("{}"), timeout=0.0)
    with pytest.raises(
        ProxyNotSyncedError, match=f"gateway exit-1 -n {EXIT.namespace} did not take the .* sent nothing"
    ):
        ready.settle([], [EXIT])


def test_why_a_gateway_could_not_be_asked_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ready, _ = proxy_sync(monkeypatch, repeat(ClusterError("exec failed: pods is forbidden")), timeout=0.0)
    with pytest.raises(ProxyNotSyncedError, match="exec failed: pods is forbidden"):
        ready.settle([], [EXIT])


def test_what_a_gateway_rejected_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    dumped = json.dumps({"configs": [{"name": "0.0.0.0_8443", "error_state": {"details": "no such filter"}}]})
    ready, _ = proxy_sync(monkeypatch, repeat("{}"), timeout=0.0, dumped=dumped)
    with pytest.raises(ProxyNotSyncedError, match=r"it rejected 0\.0\.0\.0_8443: no such filter"):
        ready.settle([], [EXIT])


def test_each_marker_is_another_listener() -> None:
    def names(number: int) -> set[str]:
        return {patch["patch"]["value"]["name"] for patch in marker(number)["spec"]["configPatches"]}

    assert len(names(1)) == 1
    assert not names(1) & names(2)


def test_a_gateways_marker_waits_for_no_answer_of_istiods() -> None:
    by_context = {patch["match"]["context"]: patch["patch"]["value"] for patch in marker(1)["spec"]["configPatches"]}
    assert by_context.keys() == {"SIDECAR_OUTBOUND", "GATEWAY"}
    assert "rds" in str(by_context["SIDECAR_OUTBOUND"])
    assert "rds" not in str(by_context["GATEWAY"])
