"""Steady traffic waits for its clients' record: for responses of every kind, and until the record is complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import load
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.model.mesh_facts import STOCK_GATEWAY, MeshFacts
from pytest_istio_egress.suite.discovery import fixtures_folder
from pytest_istio_egress.traffic import workloads
from pytest_istio_egress.traffic.kinds import AMBIENT_CLIENT, GATEWAY_CLIENT, KINDS, SIDECAR_CLIENT, TrafficClient
from pytest_istio_egress.traffic.observations import LAG, Answered, Client, Entry, Lost, NoRecordError, Record
from pytest_istio_egress.traffic.workloads import SINCE, Traffic, chosen_clients

RESPONSES = [Answered(1.0, 2.0, 5)]
LOSSES = [Lost(1.0, 2.0, 7, 0)]


def record(ends: float = 10.0, heard: float = 10.0, **entries: list[Any]) -> Record:
    by_kind = cast(dict[str, list[Entry]], entries)
    return Record(0.0, ends, (Client("client-1", heard=heard, entries=by_kind),))


@pytest.fixture
def patched() -> list[Any]:
    """The annotations that were patched into the server's namespace."""
    return []


@pytest.fixture
def traffic(patched: list[Any]) -> Traffic:
    core = SimpleNamespace(patch_namespace=lambda _, body: patched.append(body["metadata"]["annotations"]))
    return Traffic(cast(Api, SimpleNamespace(core=core)), "steady", Path(), timeout=5)


def read_in_turn(traffic: Traffic, monkeypatch: pytest.MonkeyPatch, records: Iterator[Record | None]) -> None:
    def read() -> Record:
        current = next(records)
        if current is None:
            raise NoRecordError
        return current

    monkeypatch.setattr(traffic, "record", read)
    monkeypatch.setattr(workloads, "POLL_INTERVAL", 0.0)


def test_start_waits_for_responses_of_every_kind(
    traffic: Traffic, patched: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = iter(
        [None, record(http=RESPONSES), record(http=RESPONSES, tls=LOSSES), record(http=RESPONSES, tls=RESPONSES)]
    )
    read_in_turn(traffic, monkeypatch, records)
    traffic._wait_for_responses({"http", "tls"})
    assert next(records, None) is None
    assert patched == [{SINCE: "10.000"}]


def test_start_without_responses_is_an_error_with_the_kinds_and_losses(
    traffic: Traffic, patched: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic.timeout = 0.0
    read_in_turn(traffic, monkeypatch, iter([record(http=RESPONSES, tls=LOSSES)] * 2))
    with pytest.raises(ClusterError, match=r"no response within 0 s for tls; tls: 1 x curl exit 7"):
        traffic._wait_for_responses({"http", "tls"})
    assert not patched


def test_complete_record_is_read_until_all_clients_have_reported(
    traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = iter([record(10.0, 10.0), record(13.0, 13.0), record(17.0, 17.0), record(20.0, 20.0)])
    read_in_turn(traffic, monkeypatch, records)
    assert traffic.complete_record().complete == 17.0 - LAG
    assert next(records).ends == 20.0


def mesh_of(monkeypatch: pytest.MonkeyPatch, *, gateway: bool = True, without_waypoints: str | None = None) -> Mesh:
    monkeypatch.setattr(workloads, "waypoints", lambda _mesh: without_waypoints)
    return cast(Mesh, SimpleNamespace(facts=MeshFacts(gateway=STOCK_GATEWAY if gateway else None)))


@pytest.mark.parametrize(
    ("data_plane", "clients"),
    [
        (None, [SIDECAR_CLIENT, GATEWAY_CLIENT, AMBIENT_CLIENT]),
        ("both", [SIDECAR_CLIENT, GATEWAY_CLIENT, AMBIENT_CLIENT]),
        ("sidecar", [SIDECAR_CLIENT, GATEWAY_CLIENT]),
        ("ambient", [AMBIENT_CLIENT]),
    ],
)
def test_clients_are_those_of_the_data_plane(
    data_plane: str | None, clients: list[TrafficClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen_clients(mesh_of(monkeypatch), data_plane, print) == clients


def test_mesh_without_gateway_and_waypoints_has_the_sidecar_client(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mesh = mesh_of(monkeypatch, gateway=False, without_waypoints="the mesh has no ambient mode")
    assert chosen_clients(mesh, None, print) == [SIDECAR_CLIENT]
    assert "no ready egress gateway" in capsys.readouterr().out


@pytest.mark.parametrize("data_plane", ["ambient", "both"])
def test_missing_ambient_mode_is_an_error_where_it_is_asked_for(
    data_plane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = mesh_of(monkeypatch, without_waypoints="the mesh has no ambient mode")
    with pytest.raises(ClusterError, match="no traffic of ambient clients: the mesh has no ambient mode"):
        chosen_clients(mesh, data_plane, print)


@pytest.mark.parametrize("client", [SIDECAR_CLIENT, GATEWAY_CLIENT, AMBIENT_CLIENT], ids=lambda client: client.name)
def test_manifest_of_a_client_has_its_deployment_and_its_kinds(client: TrafficClient) -> None:
    folder = fixtures_folder() / "traffic"
    (deployment,) = [each for each in load([folder / client.manifest]) if each["kind"] == "Deployment"]
    assert (deployment["metadata"]["name"], deployment["metadata"]["namespace"]) == (client.name, client.namespace)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert variables["KINDS"].split() == [kind.name for kind in KINDS if kind.client is client]
