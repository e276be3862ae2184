"""Steady traffic and `explain` on a real ambient mesh, whose kubeconfig the environment variable names.

`nox -s ambient -- ZTUNNEL` starts one and runs these tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.suite.discovery import fixtures_folder
from pytest_istio_egress.traffic.kinds import AMBIENT_CLIENT, KINDS
from pytest_istio_egress.traffic.workloads import Traffic

VARIABLE = "AMBIENT_KUBECONFIG"
NAME = "tested"

pytestmark = pytest.mark.skipif(VARIABLE not in os.environ, reason="needs an ambient mesh: nox -s ambient -- ZTUNNEL")


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of istio-egress on the ambient mesh."""
    environment = os.environ | {"KUBECONFIG": os.environ[VARIABLE]}
    words = [sys.executable, "-m", "pytest_istio_egress.cli", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def traffic() -> Iterator[Traffic]:
    """Traffic of the ambient clients."""
    started = command("traffic", "start", "--name", NAME, "--data-plane", "ambient")
    assert started.returncode == 0, started.stderr
    yield Traffic(Api(Path(os.environ[VARIABLE]), None), NAME, fixtures_folder() / "traffic")
    stopped = command("traffic", "stop", "--name", NAME)
    assert stopped.returncode == 0, stopped.stderr


@pytest.fixture(scope="module")
def client(traffic: Traffic) -> str:
    """The client of the traffic, as explain names workloads."""
    return f"{traffic.names.namespace(AMBIENT_CLIENT.namespace)}/deployment/{AMBIENT_CLIENT.name}"


def test_traffic_of_every_ambient_kind_loses_nothing(traffic: Traffic, tmp_path: Path) -> None:
    until = traffic.record().ends + 8
    assert poll(lambda: traffic.record().complete >= until, every=0.5, timeout=120)
    done = command("traffic", "report", "--name", NAME, "--yaml", tmp_path / "report.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    kinds = yaml.safe_load((tmp_path / "report.yaml").read_text())["kinds"]
    assert set(kinds) == {kind.name for kind in KINDS if kind.client is AMBIENT_CLIENT}
    assert all(kind["sent"] > 0 for kind in kinds.values())


def test_way_through_ztunnel_and_waypoint(client: str) -> None:
    done = command("explain", "--from", client, f"http://steady-ambient-http.{NAME}.test/once")
    assert done.returncode == 0, done.stderr
    hops = [line.partition(" ")[0] for line in done.stdout.splitlines()[1:] if line and not line.startswith(" ")]
    assert hops == ["ztunnel", "waypoint", "ends:", "odd:"]
    assert f"inbound-vip|80|http|steady-ambient-http.{NAME}.test" in done.stdout
    assert "odd: nothing found" in done.stdout


def test_way_through_ztunnel_alone(client: str) -> None:
    done = command("explain", "--from", client, f"https://steady-ambient-tls.{NAME}.test/")
    assert "waypoint" not in done.stdout
    assert "odd: nothing found" in done.stdout


def test_way_to_a_host_that_no_entry_lists(client: str) -> None:
    done = command("explain", "--from", client, "http://api.elsewhere.test/")
    assert "ends: the address that the client connects to: ztunnel forwards it, by no rule" in done.stdout
    assert "odd: no ServiceEntry lists api.elsewhere.test" in done.stdout


def test_pod_outside_of_the_mesh_has_no_proxy_on_its_way(traffic: Traffic) -> None:
    done = command("explain", "--from", f"{traffic.server}/deployment/traffic-server", "http://api.elsewhere.test/")
    assert done.returncode == 3
    assert "have no sidecar, and are not redirected to ztunnel" in done.stderr
