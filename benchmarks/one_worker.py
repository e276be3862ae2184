"""The pipeline of one worker without pytest, for the benchmarks that measure single steps of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_istio_egress.cluster.additions import WITH_ENVOY_FILTERS
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.environment import Environment
from pytest_istio_egress.cluster.log_lookup import AccessLogs
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.mesh_names import MeshNames
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.run_lease import remove
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.pipeline.runner import CaseRunner, case_runner
from pytest_istio_egress.run_target import new_run
from pytest_istio_egress.suite.discovery import fixtures_folder


@contextmanager
def new_runner(kubeconfig: Path | None) -> Iterator[CaseRunner]:
    """Yield the runner of a new run, whose environment has yet to be created; everything is removed at the end."""
    api, timeouts = Api(kubeconfig, None), Timeouts()
    mesh = Mesh(api)
    names = Names(new_run(), "main", mesh=MeshNames.of(mesh.facts))
    environment = Environment(api, names, fixtures_folder(), timeouts.ready, WITH_ENVOY_FILTERS)
    try:
        yield case_runner(WorkerContext(api, environment, AccessLogs(api, mesh, names), timeouts))
    finally:
        remove(api, names.run)


def timed(action: Callable[[], object]) -> float:
    """Return how many seconds an action took."""
    began = time.monotonic()
    action()
    return time.monotonic() - began
