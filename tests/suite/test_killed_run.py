"""The namespaces and the mesh configuration of a killed run are cleaned up by the next run."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest
from suite_run import RunSuite, environment  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.mesh_config_map import MeshConfigMap
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.cluster.run_lease import leftover_runs

pytestmark = pytest.mark.embedded


def test_next_run_cleans_up_after_a_killed_run(
    suite_command: list[str], run_suite: RunSuite, api: Api, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [*suite_command, "-p", "no:cacheprovider"], cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment()
    ) as running:
        assert running.stdout
        output = ""
        for line in running.stdout:
            output += line
            if ".py ." in line:  # the first test has passed
                running.send_signal(signal.SIGKILL)
                break
    run = re.search(r", run (\w+)", output)
    assert run, output
    assert run[1] in {leftover.run for leftover in leftover_runs(api)}
    # As a mesh-wide test that is killed before it restores its change.
    before = MeshConfigMap(api).change({"defaultHttpRetryPolicy": {"attempts": 1}})
    assert poll(lambda: not any(leftover.alive for leftover in leftover_runs(api)), every=0.5, timeout=120)
    again = run_suite("conformance/timeouts")
    assert again.exit == 0, again.output
    assert run[1] in again.output
    assert MeshConfigMap(api).pending_restore() is None
    assert api.core.read_namespaced_config_map("istio", "istio-system").data["mesh"] == before
    assert poll(lambda: not leftover_runs(api), every=0.2, timeout=300)
