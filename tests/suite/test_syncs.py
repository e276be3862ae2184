"""After each sync a proxy has exactly what was applied, whatever the kind of marker: nothing less, and nothing older.

A rule for an existing route configuration changes with each turn, and an entry moves to another port, whose listener
must request its routes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_istio_egress.cluster.additions import WITH_ENVOY_FILTERS, WITHOUT_ENVOY_FILTERS, Additions
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import Applier
from pytest_istio_egress.cluster.environment import Environment
from pytest_istio_egress.cluster.log_lookup import AccessLogs
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.mesh_names import MeshNames
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.run_lease import remove
from pytest_istio_egress.model.probe import CLIENT
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.pipeline.runner import CaseRunner, case_runner
from pytest_istio_egress.run_target import new_run
from pytest_istio_egress.suite.discovery import fixtures_folder

TURNS = 60
FIRST_PORT = 18_000
NAMESPACE = "egress-client"
BOTH = (
    pytest.param(WITH_ENVOY_FILTERS, id="EnvoyFilter"),
    pytest.param(WITHOUT_ENVOY_FILTERS, id="AuthorizationPolicy"),
)


@pytest.fixture
def new_runner(api: Api) -> Iterator[Callable[[Additions], CaseRunner]]:
    """Make the runner of a run of its own, whose clients exist."""
    runners: list[CaseRunner] = []

    def make(additions: Additions) -> CaseRunner:
        mesh = Mesh(api)
        names = Names(new_run(), "main", mesh=MeshNames.of(mesh.facts))
        environment = Environment(api, names, fixtures_folder(), api.timeouts.ready, additions)
        runner = case_runner(WorkerContext(api, environment, AccessLogs(api, mesh, names), api.timeouts))
        runners.append(runner)
        runner.case_setup.ensure_environment()
        return runner

    yield make
    for runner in runners:
        runner.context.environment.leave()
        runner.context.access_logs.forget()
        remove(api, runner.context.names.run)


def entry(name: str, port: int) -> dict[str, Any]:
    spec = {
        "hosts": [f"{name}.test"],
        "exportTo": ["."],
        "ports": [{"number": port, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": [{"address": "192.0.2.80"}],
    }
    return {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": name}, "spec": spec}


def rule(turn: int) -> dict[str, Any]:
    route = {"name": f"turn-{turn}", "route": [{"destination": {"host": "stays.test"}}]}
    spec = {"hosts": ["stays.test"], "exportTo": ["."], "http": [route]}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "rule"},
        "spec": spec,
    }


def routes(config: ProxyConfig, host: str) -> list[str]:
    """Return the names of the routes for a host on port 80."""
    return [route["name"] for each in config.virtual_hosts("80") if each.name == f"{host}:80" for route in each.routes]


def listened(config: ProxyConfig) -> list[int]:
    """Return the ports of the moving entry that the proxy has an active listener and routes for."""
    ports = [int(listener.name.rpartition("_")[2]) for listener in config.listeners() if "0.0.0.0_18" in listener.name]
    return [port for port in ports if config.virtual_hosts(str(port))]


@pytest.mark.parametrize("additions", BOTH)
def test_synced_proxy_has_exactly_what_was_applied(
    additions: Additions, new_runner: Callable[[Additions], CaseRunner]
) -> None:
    runner = new_runner(additions)
    setup, names = runner.case_setup, runner.context.names
    applier, config = Applier(runner.context.api, names), setup.config(CLIENT)
    host = names.render("stays.test")
    applier.apply([entry("stays", 80)], NAMESPACE)
    for turn in range(TURNS):
        applied = applier.apply([rule(turn), entry("moves", FIRST_PORT + turn)], NAMESPACE)
        setup.sync()
        assert routes(config, host) == [f"turn-{turn}"]
        assert listened(config) == [FIRST_PORT + turn]
        if turn % 2:
            applier.remove(applied)
            setup.sync()
            assert routes(config, host) == ["default"]
            assert listened(config) == []
