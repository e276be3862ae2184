"""The wait for the sync of gateways, whose pods have no shell, and the marker."""

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
    """Records the documents instead of applying them."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def apply(self, documents: Any, namespace: str) -> Any:
        self.sent += [(namespace, document) for document in documents]


def proxy_sync(
    monkeypatch: pytest.MonkeyPatch, responses: Iterator[str | Exception], timeout: float = 5.0, dumped: str = "{}"
) -> tuple[ProxySync, Applied]:
    """Return one whose gateway has these responses; each request must be for the marker that was applied.

    `dumped` is the response to requests for all listeners, clusters or routes.
    """
    applied = Applied()

    def run(_api: Api, pod: Pod, command: list[str]) -> CommandResult:
        assert pod is EXIT
        if "name_regex" not in command[-1]:
            return CommandResult(stdout=dumped, stderr="", exit=0)
        name = applied.sent[-1][1]["spec"]["configPatches"][-1]["patch"]["value"]["name"]
        assert f"^{name}$" in command[-1]
        response = next(responses)
        if isinstance(response, Exception):
            raise response
        return CommandResult(stdout=response, stderr="", exit=0)

    monkeypatch.setattr(admin, "run", run)
    return ProxySync(cast(Api, None), applied, timeout), applied


ACTIVE = '{"configs": [{"active_state": {}}]}'


def test_gateway_is_polled_until_its_marker_is_active(monkeypatch: pytest.MonkeyPatch) -> None:
    responses = iter(["{}", '{"configs": [{"warming_state": {}}]}', ACTIVE])
    sync, applied = proxy_sync(monkeypatch, responses)
    sync.wait([], [EXIT])
    assert next(responses, None) is None
    assert [namespace for namespace, _ in applied.sent] == [EXIT.namespace]


def test_restarting_gateway_is_polled_until_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    responses: Iterator[str | Exception] = iter([ClusterError("the container is not running"), ACTIVE])
    sync, _ = proxy_sync(monkeypatch, responses)
    sync.wait([], [EXIT])
    assert next(responses, None) is None


def test_replaced_gateway_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    sync, _ = proxy_sync(monkeypatch, repeat(GoneError("no such pod")))
    with pytest.raises(GoneError):
        sync.wait([], [EXIT])


def test_gateway_without_configuration_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    sync, _ = proxy_sync(monkeypatch, repeat("{}"), timeout=0.0)
    with pytest.raises(
        ProxyNotSyncedError, match=f"gateway exit-1 -n {EXIT.namespace} did not accept the .* sent nothing"
    ):
        sync.wait([], [EXIT])


def test_failed_request_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    sync, _ = proxy_sync(monkeypatch, repeat(ClusterError("exec failed: pods is forbidden")), timeout=0.0)
    with pytest.raises(ProxyNotSyncedError, match="exec failed: pods is forbidden"):
        sync.wait([], [EXIT])


def test_rejected_resource_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    dumped = json.dumps({"configs": [{"name": "0.0.0.0_8443", "error_state": {"details": "no such filter"}}]})
    sync, _ = proxy_sync(monkeypatch, repeat("{}"), timeout=0.0, dumped=dumped)
    with pytest.raises(ProxyNotSyncedError, match=r"it rejected 0\.0\.0\.0_8443: no such filter"):
        sync.wait([], [EXIT])


def test_each_marker_is_another_listener() -> None:
    def names(number: int) -> set[str]:
        return {patch["patch"]["value"]["name"] for patch in marker(number)["spec"]["configPatches"]}

    assert len(names(1)) == 1
    assert not names(1) & names(2)


def test_gateway_marker_contains_its_route() -> None:
    by_context = {patch["match"]["context"]: patch["patch"]["value"] for patch in marker(1)["spec"]["configPatches"]}
    assert by_context.keys() == {"SIDECAR_OUTBOUND", "GATEWAY"}
    assert "rds" in str(by_context["SIDECAR_OUTBOUND"])
    assert "rds" not in str(by_context["GATEWAY"])
