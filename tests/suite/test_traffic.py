"""Steady traffic on a real mesh: nothing is lost while nothing happens; what is lost is told by kind and time."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client
from suite_run import environment  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.run_lease import leftover_runs
from pytest_istio_egress.embedded import EmbeddedCluster
from pytest_istio_egress.suite.discovery import fixtures_folder
from pytest_istio_egress.traffic.kinds import KINDS
from pytest_istio_egress.traffic.page import moment
from pytest_istio_egress.traffic.workloads import Traffic

pytestmark = pytest.mark.embedded

NAME = "tested"


def command(embedded: EmbeddedCluster, verb: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = ["traffic", verb, "--kubeconfig", embedded.kubeconfig, "--name", NAME, *arguments]
    return subprocess.run(
        [sys.executable, "-m", "pytest_istio_egress.cli", *map(str, words)],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def traffic(embedded: EmbeddedCluster, api: Api) -> Iterator[Traffic]:
    """Traffic that another process started."""
    started = command(embedded, "start")
    assert started.returncode == 0, started.stderr
    yield Traffic(api, NAME, fixtures_folder() / "traffic")
    stopped = command(embedded, "stop")
    assert stopped.returncode == 0, stopped.stderr
    assert not any(left.run == NAME for left in leftover_runs(api))


def further(traffic: Traffic, seconds: float) -> float:
    """Wait until all is known of some seconds more; returns the moment up to which it is."""
    until = traffic.record().ends + seconds
    while (now := traffic.record().complete) < until:
        threading.Event().wait(0.5)  # between two looks at the record
    return now


def test_steady_traffic_of_every_kind_loses_nothing(
    traffic: Traffic, embedded: EmbeddedCluster, tmp_path: Path
) -> None:
    further(traffic, 10)
    done = command(embedded, "report", "--yaml", tmp_path / "report.yaml", "--markdown", tmp_path / "report.md")
    assert done.returncode == 0, done.stdout + done.stderr
    report = yaml.safe_load((tmp_path / "report.yaml").read_text())
    assert set(report["kinds"]) == {kind.name for kind in KINDS}
    for found in report["kinds"].values():
        assert found["sent"] > 0
        assert found["lost"] == 0
    assert all(kind.description in (tmp_path / "report.md").read_text() for kind in KINDS)


def test_a_gateway_that_goes_is_a_loss_of_what_leaves_through_it(
    traffic: Traffic, embedded: EmbeddedCluster, api: Api, tmp_path: Path
) -> None:
    apps = client.AppsV1Api(api.client)

    def scale(replicas: int) -> None:
        body = {"spec": {"replicas": replicas}}
        apps.patch_namespaced_deployment_scale("istio-egressgateway", "istio-system", body)

    scale(0)
    try:
        further(traffic, 8)
    finally:
        scale(1)
    reached = threading.Event()
    while not apps.read_namespaced_deployment("istio-egressgateway", "istio-system").status.ready_replicas:
        reached.wait(0.2)
    further(traffic, 6)
    done = command(embedded, "report", "--yaml", tmp_path / "report.yaml", "--allow-lost", "gateway-http=1")
    assert done.returncode == 1, done.stdout + done.stderr
    kinds = yaml.safe_load((tmp_path / "report.yaml").read_text())["kinds"]
    for kind in KINDS:
        assert bool(kinds[kind.name]["lost"]) is kind.gateway, kind.name
    gaps = kinds["gateway-http"]["gaps"]
    assert all(gap["seconds"] > 0 and gap["saw"] for gap in gaps)
    assert command(embedded, "report", "--allow-lost", "100000").returncode == 0


def test_a_client_that_lost_its_sidecar_gets_no_answers(
    traffic: Traffic, embedded: EmbeddedCluster, api: Api, tmp_path: Path
) -> None:
    namespace = traffic.names.namespace("egress-client")
    apps = client.AppsV1Api(api.client)
    begin = traffic.record().ends
    uninjected = {"spec": {"template": {"metadata": {"labels": {"sidecar.istio.io/inject": "false"}}}}}
    apps.patch_namespaced_deployment("client", namespace, uninjected)
    report = tmp_path / "report.yaml"
    since = moment(begin)
    lost = {kind.name: 0 for kind in KINDS}
    deadline = begin + 120
    while not all(lost[kind.name] for kind in KINDS if not kind.gateway):
        assert further(traffic, 4) < deadline, lost
        command(embedded, "report", "--yaml", report, "--since", since)
        lost = {name: found["lost"] for name, found in yaml.safe_load(report.read_text())["kinds"].items()}
    assert not any(lost[kind.name] for kind in KINDS if kind.gateway), "the others' pod was not touched"


def test_a_run_that_cleans_up_leaves_traffic_alone(traffic: Traffic, api: Api) -> None:
    assert [(left.alive, left.traffic) for left in leftover_runs(api) if left.run == traffic.name] == [(True, True)]


def test_nothing_started_is_told_in_one_line(embedded: EmbeddedCluster) -> None:
    done = command(embedded, "report", "--name", "nobody")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "nobody" in done.stderr
