"""The line of a request is found in a proxy's log, even where the stream hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes import client

from pytest_istio_egress.cluster import log_lookup, logs
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.log_lookup import AccessLogs
from pytest_istio_egress.cluster.logs import ProxyLog
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.model.access_log import AccessLogLine, parse_line
from pytest_istio_egress.model.addresses import with_port
from pytest_istio_egress.model.ztunnel_log import parse_ztunnel_line

POD = Pod(namespace="here", name="sleep", uid="1", address="10.1.0.1", injected=True, container="curl")


def line(source: str, cluster: str, user_agent: str = "-", destination: str = "10.0.0.1:80") -> bytes:
    """Return a line as Envoy writes it."""
    return (
        f'[2026-01-01T00:00:00.000Z] "- - -" 0 - - - "-" 1 2 3 - "-" "{user_agent}" "-" "-" "10.0.0.1:80" '
        f"{cluster} 10.1.0.1:9 {destination} {source} - -"
    ).encode()


class Kubelet:
    """A log whose stream hangs until `written` is set; a plain read returns all lines."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.written = threading.Event()
        self.fails = False

    def read_namespaced_pod_log(self, *_: Any, follow: bool = False, **__: Any) -> Any:
        """Respond as the client does with _preload_content=False."""
        if self.fails:
            raise OSError("the kubelet is unavailable")
        if not follow:
            return SimpleNamespace(data=b"\n".join(self.lines))
        return SimpleNamespace(stream=lambda **_: self._stream())

    def _stream(self) -> Iterator[bytes]:
        self.written.wait(5)
        self.written.clear()
        yield b"".join(written + b"\n" for written in self.lines)


@pytest.fixture
def kubelet(monkeypatch: pytest.MonkeyPatch) -> Kubelet:
    """The stand-in for the API behind a log."""
    stand_in = Kubelet()
    monkeypatch.setattr(client, "CoreV1Api", lambda _: stand_in)
    return stand_in


API = cast(Api, SimpleNamespace(new_client=lambda: None))


def wait_for_lines(log: ProxyLog[AccessLogLine], count: int) -> None:
    """Wait until the log has so many lines."""
    with log.arrived:
        assert log.arrived.wait_for(lambda: len(log._lines) >= count, timeout=5)


def test_reused_port_finds_its_new_connection(kubelet: Kubelet) -> None:
    log = ProxyLog(API, POD, threading.Condition(), parse_line)
    kubelet.lines = [line("10.1.0.1:4000", "BlackHoleCluster")]
    kubelet.written.set()
    wait_for_lines(log, 1)
    later = time.monotonic()
    assert log.of_connection("10.1.0.1:4000", ("-",), later) is None
    assert log.of_peer("10.1.0.1:4000", later) is None
    kubelet.lines.append(line("10.1.0.1:4000", "PassthroughCluster"))
    kubelet.written.set()
    wait_for_lines(log, 2)
    newest = log.of_connection("10.1.0.1:4000", ("-",), later)
    assert newest
    assert newest.cluster == "PassthroughCluster"
    log.close()


def test_line_of_another_request_on_the_connection_is_not_found(kubelet: Kubelet) -> None:
    log = ProxyLog(API, POD, threading.Condition(), parse_line)
    kubelet.lines = [line("10.1.0.1:4000", "one", "egress/1"), line("10.1.0.1:4000", "two", "egress/2")]
    kubelet.written.set()
    wait_for_lines(log, 2)
    newest = log.of_connection("10.1.0.1:4000", ("-", "egress/1"), 0.0)
    assert newest
    assert newest.cluster == "one"
    assert log.of_connection("10.1.0.1:4000", ("egress/3",), 0.0) is None
    log.close()


def test_messages_that_arrive_later_are_returned_whole_and_repeated_ones_are_not(kubelet: Kubelet) -> None:
    log = ProxyLog(API, POD, threading.Condition(), parse_line)
    first, second = b"2026-01-01T00:00:00Z\twarning\tconfig", b"2026-01-01T00:00:01Z\twarning\tconfig"
    kubelet.lines = [first, b": no such field", line("10.1.0.1:1", "one")]
    kubelet.written.set()
    wait_for_lines(log, 3)
    later = time.monotonic()
    assert log.messages(0.0).splitlines() == [first.decode(), ": no such field"]
    assert log.messages(later) == ""
    kubelet.lines += [second, b": no such field"]
    kubelet.written.set()
    wait_for_lines(log, 4)
    log.read_back(5)
    assert log.messages(later).splitlines() == [second.decode(), ": no such field"]
    log.close()


def test_log_drops_its_oldest_lines(kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "KEPT_LINES", 2)
    log = ProxyLog(API, POD, threading.Condition(), parse_line)
    kubelet.lines = [line(f"10.1.0.1:{port}", "one") for port in (1, 2, 3)]
    kubelet.written.set()
    with log.arrived:
        assert log.arrived.wait_for(lambda: log.of_peer("10.1.0.1:3", 0.0) is not None, timeout=5)
    assert log.of_peer("10.1.0.1:1", 0.0) is None
    assert log.of_peer("10.1.0.1:2", 0.0)
    log.close()


def test_hanging_stream_is_bypassed_by_a_separate_read(kubelet: Kubelet) -> None:
    access_logs = AccessLogs(API, cast(Mesh, None), Names("k3x9q", "gw0"))
    kubelet.lines = [line("10.1.0.1:4000", "outbound|80||api.test")]
    newest = access_logs.sidecar_line(POD, "10.1.0.1:4000", "egress/1", since=0.0, timeout=0.05)
    assert newest
    assert newest.cluster == "outbound|80||api.test"
    assert access_logs.sidecar_line(POD, "10.1.0.1:4001", "egress/1", since=0.0, timeout=0.05) is None
    access_logs.forget()


def test_log_of_the_runs_own_proxy_has_only_its_own_lines(kubelet: Kubelet) -> None:
    names = Names("k3x9q", "gw0")
    own = replace(POD, namespace=names.namespace("egress-client"))
    access_logs = AccessLogs(API, cast(Mesh, None), names)
    meshs, ours = line("10.1.0.1:4000", "meshs"), line("10.1.0.1:4000", "ours") + b" istio-egress"
    kubelet.lines = [ours, meshs]
    found = access_logs.sidecar_line(own, "10.1.0.1:4000", "egress/1", since=0.0, timeout=0.05)
    assert found
    assert found.cluster == "ours"
    of_a_user = access_logs.sidecar_line(replace(POD, uid="2"), "10.1.0.1:4000", "egress/1", since=0.0, timeout=0.05)
    assert of_a_user
    assert of_a_user.cluster == "meshs"
    access_logs.forget()


@pytest.mark.parametrize("namespace", ["egress-ambient", "egress-client", "elsewhere"])
def test_log_of_a_waypoint_is_the_meshs_in_every_namespace(kubelet: Kubelet, namespace: str) -> None:
    names = Names("k3x9q", "gw0")
    waypoint = replace(POD, namespace=names.namespace(namespace), waypoint=True)
    access_logs = AccessLogs(API, cast(Mesh, None), names)
    kubelet.lines = [line("10.1.0.1:4000", "meshs", "egress/1")]
    found = access_logs.waypoint_line([waypoint], "egress/1", since=0.0, timeout=0.05)
    assert found
    assert found.cluster == "meshs"
    access_logs.forget()


def test_line_in_a_format_without_user_agents_is_found_by_its_source(kubelet: Kubelet) -> None:
    access_logs = AccessLogs(API, cast(Mesh, None), Names("k3x9q", "gw0"))
    kubelet.lines = [b'{"downstream_remote_address": "10.1.0.1:4000", "response_code": 200}']
    found = access_logs.sidecar_line(POD, "10.1.0.1:4000", "egress/1", since=0.0, timeout=0.05)
    assert found
    assert (found.status, found.user_agent) == (200, None)
    access_logs.forget()


def test_connection_at_a_waypoint_is_found_by_the_destination_of_the_tunnel(kubelet: Kubelet) -> None:
    access_logs = AccessLogs(API, cast(Mesh, None), Names("k3x9q", "gw0"))
    tunnel = parse_ztunnel_line(
        "2026-01-01T00:00:00.000000Z\tinfo\taccess\tconnection complete\t"
        "src.addr=10.1.0.1:4000 dst.addr=10.1.0.2:15008 dst.hbone_addr=[fd00:0:0:1::9]:443"
    )
    assert tunnel
    kubelet.lines = [
        line("10.1.0.1:5000", "of-the-connection", destination="[fd00::1:0:0:0:9]:443"),
        line("10.1.0.1:5000", "of-another-host", destination="[fd00::1:0:0:0:8]:443"),
        line("10.1.0.1:5000", "of-a-request", "egress/1", destination="[fd00::1:0:0:0:9]:443"),
    ]
    found = access_logs.waypoint_connection([POD], tunnel, since=0.0, timeout=0.05)
    assert found
    assert found.cluster == "of-the-connection"
    assert access_logs.waypoint_connection([POD], tunnel, since=time.monotonic(), timeout=0.05) is None
    access_logs.forget()


def test_trouble_is_cleared_by_the_next_read(kubelet: Kubelet) -> None:
    log = ProxyLog(API, POD, threading.Condition(), parse_line)
    kubelet.fails = True
    log.read_back(1.0)
    assert log.trouble == "the kubelet is unavailable"
    kubelet.fails = False
    log.read_back(1.0)
    assert log.trouble is None
    log.close()


def test_ipv6_connection_is_found_by_its_address_and_port(kubelet: Kubelet) -> None:
    access_logs = AccessLogs(API, cast(Mesh, None), Names("k3x9q", "gw0"))
    kubelet.lines = [line("[fd00:0:0:1::9]:4000", "outbound|80||api.test")]
    source = with_port("fd00::1:0:0:0:9", 4000)
    newest = access_logs.sidecar_line(POD, source, "egress/1", since=0.0, timeout=0.05)
    assert newest
    assert newest.cluster == "outbound|80||api.test"
    access_logs.forget()


class DeadStream(Kubelet):
    """A log whose first stream never delivers anything again, without an error."""

    def __init__(self) -> None:
        super().__init__()
        self.streams = 0

    def _stream(self) -> Iterator[bytes]:
        self.streams += 1
        if self.streams == 1:
            self.written.wait(60)
            return
        while not self.written.wait(0.01):
            yield b"".join(written + b"\n" for written in self.lines)


def test_stream_that_is_dead_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = DeadStream()
    monkeypatch.setattr(client, "CoreV1Api", lambda _: stand_in)
    access_logs = AccessLogs(API, cast(Mesh, None), Names("k3x9q", "gw0"))
    stand_in.lines = [line("10.1.0.1:4000", "one")]
    assert access_logs.sidecar_line(POD, "10.1.0.1:4000", "egress/1", since=0.0, timeout=0.05)
    began = time.monotonic()
    stand_in.lines.append(line("10.1.0.1:4001", "two"))
    assert access_logs.sidecar_line(POD, "10.1.0.1:4001", "egress/1", since=0.0, timeout=5)
    assert time.monotonic() - began < 4, "the second line comes by a new stream, not after the whole timeout"
    access_logs.forget()
    stand_in.written.set()


def test_replica_of_the_gateway_that_came_later_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    gateways = [POD]
    monkeypatch.setattr(log_lookup, "ready_pods", lambda *_: list(gateways))
    mesh = cast(Mesh, SimpleNamespace(facts=SimpleNamespace(gateway=True)))
    access_logs = AccessLogs(API, mesh, Names("k3x9q", "gw0"))
    assert not access_logs.new_gateways(), "no request needed a gateway yet"
    access_logs.gateways()
    assert not access_logs.new_gateways()
    gateways.append(replace(POD, uid="2"))
    assert access_logs.new_gateways() == [gateways[1]]
    access_logs.forget()
    access_logs.gateways()
    assert not access_logs.new_gateways()
