"""The wait for the sync of proxies, and the choice of the markers that arrive."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_istio_egress.cluster import admin, proxy_sync
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import Applier
from pytest_istio_egress.cluster.envoy_filter_markers import EnvoyFilterMarkers
from pytest_istio_egress.cluster.exec_connection import CommandResult, GoneError
from pytest_istio_egress.cluster.markers import Markers
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.policy_markers import PolicyMarkers
from pytest_istio_egress.cluster.proxy_sync import ProxyNotSyncedError, ProxySync, first_sync

EXIT = Pod("egress-gateway-k3x9q-gw0", "exit-1", "u", "10.0.0.9", injected=True, container="istio-proxy")
CLIENT = Pod("egress-client-k3x9q-gw0", "sleep-1", "v", "10.0.0.8", injected=True, container="curl")
FILTERS, POLICIES = EnvoyFilterMarkers(), PolicyMarkers()


class Applied(Applier):
    """Records the documents instead of applying them."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.names = Names("k3x9q", "gw0")

    @property
    def kinds(self) -> list[str]:
        return [document["kind"] for _, document in self.sent]

    def apply(self, documents: Any, namespace: str) -> Any:
        self.sent += [(namespace, document) for document in documents]


def sync_of_gateway(
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
    return ProxySync(cast(Api, None), applied, timeout, FILTERS), applied


ACTIVE = '{"configs": [{"active_state": {}}]}'


def test_gateway_is_polled_until_its_marker_is_active(monkeypatch: pytest.MonkeyPatch) -> None:
    responses = iter(["{}", '{"configs": [{"warming_state": {}}]}', ACTIVE])
    sync, applied = sync_of_gateway(monkeypatch, responses)
    sync.wait([], [EXIT])
    assert next(responses, None) is None
    assert [namespace for namespace, _ in applied.sent] == [EXIT.namespace]


def test_restarting_gateway_is_polled_until_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    responses: Iterator[str | Exception] = iter([ClusterError("the container is not running"), ACTIVE])
    sync, _ = sync_of_gateway(monkeypatch, responses)
    sync.wait([], [EXIT])
    assert next(responses, None) is None


def test_replaced_gateway_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    sync, _ = sync_of_gateway(monkeypatch, repeat(GoneError("no such pod")))
    with pytest.raises(GoneError):
        sync.wait([], [EXIT])


def test_gateway_without_configuration_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    sync, _ = sync_of_gateway(monkeypatch, repeat("{}"), timeout=0.0)
    with pytest.raises(
        ProxyNotSyncedError, match=f"gateway exit-1 -n {EXIT.namespace} did not accept the .* sent nothing"
    ):
        sync.wait([], [EXIT])


def test_failed_request_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    sync, _ = sync_of_gateway(monkeypatch, repeat(ClusterError("exec failed: pods is forbidden")), timeout=0.0)
    with pytest.raises(ProxyNotSyncedError, match="exec failed: pods is forbidden"):
        sync.wait([], [EXIT])


def test_rejected_resource_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    dumped = json.dumps({"configs": [{"name": "0.0.0.0_8443", "error_state": {"details": "no such filter"}}]})
    sync, _ = sync_of_gateway(monkeypatch, repeat("{}"), timeout=0.0, dumped=dumped)
    with pytest.raises(ProxyNotSyncedError, match=r"it rejected 0\.0\.0\.0_8443: no such filter"):
        sync.wait([], [EXIT])


WARMING = json.dumps({"configs": [{"cluster": {"name": "outbound|80||secret.k3x9q.test"}}]})
OF_OTHERS = json.dumps({"configs": [{"cluster": {"name": "outbound|80||broken.example.com"}}]})


@pytest.mark.parametrize(("dumps", "looks"), [([WARMING, WARMING, OF_OTHERS], 3), ([OF_OTHERS], 1), (["{}"], 1)])
def test_gateway_is_polled_until_clusters_of_the_run_are_warm(
    monkeypatch: pytest.MonkeyPatch, dumps: list[str], looks: int
) -> None:
    sync, _ = sync_of_gateway(monkeypatch, iter([ACTIVE]))
    marker_run, left = vars(admin)["run"], list(dumps)

    def run(api: Api, pod: Pod, command: list[str]) -> CommandResult:
        if "dynamic_warming_clusters" in command[-1]:
            return CommandResult(stdout=left.pop(0), stderr="", exit=0)
        return cast(CommandResult, marker_run(api, pod, command))

    monkeypatch.setattr(admin, "run", run)
    sync.wait([], [EXIT])
    assert len(dumps) - len(left) == looks


CURL = """#!/bin/sh
# Responds as a proxy's admin interface; the file `looks` counts the requests for warming clusters.
case $7 in
  *dynamic_warming_clusters) echo >> {folder}/looks; [ $(wc -l < {folder}/looks) -gt {warm} ] || echo '{warming}' ;;
  *) echo '"active_state" istio-egress-marker-1' ;;
esac
"""


@pytest.mark.parametrize(("warm", "looks"), [(0, 1), (3, 4), (10**6, 3)])
def test_client_is_polled_until_clusters_of_the_run_are_warm_or_stay_cold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, warm: int, looks: int
) -> None:
    monkeypatch.setattr(proxy_sync, "_WARM_UP", 0.1 if warm > 10 else 2.0)
    curl = tmp_path / "curl"
    curl.write_text(CURL.format(folder=tmp_path, warm=warm, warming=WARMING).replace("$7", "$6"))
    curl.chmod(0o755)

    def run(_api: Api, _pod: Pod, command: list[str], timeout: float) -> CommandResult:
        done = subprocess.run(
            command, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, timeout=timeout,
            check=False,
        )  # fmt: skip
        return CommandResult(done.stdout, done.stderr, done.returncode)

    monkeypatch.setattr(proxy_sync, "run", run)
    ProxySync(cast(Api, None), Applied(), 5.0, FILTERS).wait([CLIENT])
    assert len((tmp_path / "looks").read_text().splitlines()) == looks


class Proxies:
    """Clients whose proxies get only markers of some kinds; `waits` are the kinds that were waited for.

    Those of a kind in `late` arrive after the first wait.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, arriving: Sequence[Markers], dumped: str = "{}") -> None:
        self.applied = Applied()
        self.arriving = {markers.kind for markers in arriving}
        self.dumped = dumped
        self.waits: list[str] = []
        self.late: set[str] = set()
        monkeypatch.setattr(proxy_sync, "run", self._wait)
        monkeypatch.setattr(admin, "run", self._dump)

    def _wait(self, _api: Api, _pod: Pod, command: list[str], timeout: float) -> CommandResult:
        assert timeout
        document = self.applied.sent[-1][1]
        self.waits.append(document["kind"])
        number = "istio-egress-marker-1" if "istio-egress-marker-1" in str(document) else "istio-egress-marker-2"
        assert number in command[-1]
        arrives = document["kind"] in self.arriving
        self.arriving |= self.late
        return CommandResult(stdout="", stderr="", exit=0 if arrives else 9)

    def _dump(self, _api: Api, _pod: Pod, _command: list[str]) -> CommandResult:
        return CommandResult(stdout=self.dumped, stderr="", exit=0)

    def sync(self, markers: Markers) -> ProxySync:
        return ProxySync(cast(Api, None), self.applied, 0.0, markers)


def test_second_policy_is_applied_when_the_first_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    proxies = Proxies(monkeypatch, [POLICIES])
    proxies.sync(POLICIES).wait([CLIENT])
    assert proxies.applied.kinds == proxies.waits == [POLICIES.kind] * 2
    assert proxies.applied.sent[0] != proxies.applied.sent[1]


def test_markers_that_arrive_are_used_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    proxies = Proxies(monkeypatch, [FILTERS, POLICIES])
    sync = proxies.sync(FILTERS)
    assert first_sync(sync, POLICIES, [CLIENT]) is sync
    assert proxies.waits == [FILTERS.kind]


def test_ignored_markers_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    proxies = Proxies(monkeypatch, [POLICIES])
    chosen = first_sync(proxies.sync(FILTERS), POLICIES, [CLIENT])
    assert chosen.markers is POLICIES
    assert proxies.waits == [FILTERS.kind, POLICIES.kind, POLICIES.kind]


@pytest.mark.parametrize("other", [POLICIES, None], ids=["others do not arrive", "no others"])
def test_nothing_is_ignored_where_nothing_arrives(monkeypatch: pytest.MonkeyPatch, other: Markers | None) -> None:
    proxies = Proxies(monkeypatch, [])
    with pytest.raises(ProxyNotSyncedError, match="istiod sent nothing"):
        first_sync(proxies.sync(FILTERS), other, [CLIENT])


def test_marker_that_was_slow_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    proxies = Proxies(monkeypatch, [POLICIES], dumped='{"configs": [{"name": "istio-egress-marker-1"}]}')
    sync = proxies.sync(FILTERS)
    proxies.late.add(FILTERS.kind)
    assert first_sync(sync, POLICIES, [CLIENT]) is sync
    assert proxies.waits == [FILTERS.kind, POLICIES.kind, POLICIES.kind, FILTERS.kind]


def test_rejected_marker_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    rejected = {"name": "istio-egress-marker-1", "error_state": {"details": "no such filter"}}
    proxies = Proxies(monkeypatch, [POLICIES], dumped=json.dumps({"configs": [rejected]}))
    with pytest.raises(ProxyNotSyncedError, match="it rejected istio-egress-marker-1: no such filter"):
        first_sync(proxies.sync(FILTERS), POLICIES, [CLIENT])
