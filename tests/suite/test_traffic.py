"""Steady traffic on a real mesh loses nothing without changes; losses are reported by kind and time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client
from suite_run import environment  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.cluster.run_lease import leftover_runs
from pytest_istio_egress.embedded import EmbeddedCluster
from pytest_istio_egress.suite.discovery import fixtures_folder
from pytest_istio_egress.traffic.kinds import AMBIENT_CLIENT, GATEWAY_CLIENT, KINDS
from pytest_istio_egress.traffic.page import moment
from pytest_istio_egress.traffic.workloads import Traffic

pytestmark = pytest.mark.embedded

NAME = "tested"
SENT = [kind for kind in KINDS if kind.client is not AMBIENT_CLIENT]
"""The kinds of a mesh without ambient mode."""


def command(embedded: EmbeddedCluster, verb: str, *more: str | Path) -> subprocess.CompletedProcess[str]:
    arguments = ["traffic", verb, "--kubeconfig", embedded.kubeconfig, "--name", NAME, *more]
    return subprocess.run(
        [sys.executable, "-m", "pytest_istio_egress.cli", *map(str, arguments)],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def traffic(embedded: EmbeddedCluster, api: Api) -> Iterator[Traffic]:
    """Traffic started by another process."""
    started = command(embedded, "start")
    assert started.returncode == 0, started.stderr
    yield Traffic(api, NAME, fixtures_folder() / "traffic")
    stopped = command(embedded, "stop")
    assert stopped.returncode == 0, stopped.stderr
    assert not any(run.run == NAME for run in leftover_runs(api))


def wait_for_record(traffic: Traffic, seconds: float) -> float:
    """Wait until the record has so many more seconds, and return the time up to which it is complete."""
    until = traffic.record().ends + seconds
    complete = until

    def is_complete() -> bool:
        nonlocal complete
        complete = traffic.record().complete
        return complete >= until

    assert poll(is_complete, every=0.5, timeout=seconds + 120)
    return complete


def test_traffic_of_every_kind_loses_nothing(traffic: Traffic, embedded: EmbeddedCluster, tmp_path: Path) -> None:
    wait_for_record(traffic, 10)
    done = command(embedded, "report", "--yaml", tmp_path / "report.yaml", "--markdown", tmp_path / "report.md")
    assert done.returncode == 0, done.stdout + done.stderr
    report = yaml.safe_load((tmp_path / "report.yaml").read_text())
    assert set(report["kinds"]) == {kind.name for kind in SENT}
    for kind in report["kinds"].values():
        assert kind["sent"] > 0
        assert kind["lost"] == 0
    assert all(kind.description in (tmp_path / "report.md").read_text() for kind in SENT)


def test_stopped_gateway_is_a_loss_of_its_kinds_only(
    traffic: Traffic, embedded: EmbeddedCluster, api: Api, tmp_path: Path
) -> None:
    apps = client.AppsV1Api(api.client)

    def scale(replicas: int) -> None:
        body = {"spec": {"replicas": replicas}}
        apps.patch_namespaced_deployment_scale("istio-egressgateway", "istio-system", body)

    scale(0)
    try:
        wait_for_record(traffic, 8)
    finally:
        scale(1)
    gateway = ("istio-egressgateway", "istio-system")
    assert poll(lambda: apps.read_namespaced_deployment(*gateway).status.ready_replicas, every=0.2, timeout=120)
    wait_for_record(traffic, 6)
    done = command(embedded, "report", "--yaml", tmp_path / "report.yaml", "--allow-lost", "gateway-http=1")
    assert done.returncode == 1, done.stdout + done.stderr
    kinds = yaml.safe_load((tmp_path / "report.yaml").read_text())["kinds"]
    for kind in SENT:
        assert bool(kinds[kind.name]["lost"]) is (kind.client is GATEWAY_CLIENT), kind.name
    gaps = kinds["gateway-http"]["gaps"]
    assert all(gap["seconds"] > 0 and gap["saw"] for gap in gaps)
    assert command(embedded, "report", "--allow-lost", "100000").returncode == 0


def test_client_without_a_sidecar_gets_no_responses(
    traffic: Traffic, embedded: EmbeddedCluster, api: Api, tmp_path: Path
) -> None:
    namespace = traffic.names.namespace("egress-client")
    apps = client.AppsV1Api(api.client)
    begin = traffic.record().ends
    uninjected = {"spec": {"template": {"metadata": {"labels": {"sidecar.istio.io/inject": "false"}}}}}
    apps.patch_namespaced_deployment("client", namespace, uninjected)
    report = tmp_path / "report.yaml"
    since = moment(begin)
    lost = {kind.name: 0 for kind in SENT}
    deadline = begin + 120
    while not all(lost[kind.name] for kind in SENT if kind.client is not GATEWAY_CLIENT):
        assert wait_for_record(traffic, 4) < deadline, lost
        command(embedded, "report", "--yaml", report, "--since", since)
        lost = {name: kind["lost"] for name, kind in yaml.safe_load(report.read_text())["kinds"].items()}
    assert not any(lost[kind.name] for kind in SENT if kind.client is GATEWAY_CLIENT), (
        "the pod of these kinds was not changed"
    )


def test_traffic_counts_as_alive_for_the_cleanup_of_runs(traffic: Traffic, api: Api) -> None:
    assert [(run.alive, run.traffic) for run in leftover_runs(api) if run.run == traffic.name] == [(True, True)]


def test_missing_traffic_is_an_error_in_one_line(embedded: EmbeddedCluster) -> None:
    done = command(embedded, "report", "--name", "missing")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "missing" in done.stderr
