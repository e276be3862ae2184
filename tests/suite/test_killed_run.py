"""A run that was killed: what it left can be found, is removed by the next run, and disturbs nobody."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from suite_run import RunSuite, environment  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.mesh_config_map import MeshConfigMap
from pytest_istio_egress.cluster.run_lease import leftover_runs

pytestmark = pytest.mark.embedded


def test_the_next_run_removes_what_a_killed_run_left(
    suite_command: list[str], run_suite: RunSuite, api: Api, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [*suite_command, "-p", "no:cacheprovider"], cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment()
    ) as running:
        assert running.stdout
        output = ""
        for line in running.stdout:
            output += line
            if ".py ." in line:  # the first case has been asked, and holds
                running.send_signal(signal.SIGKILL)
                break
    run = re.search(r", run (\w+)", output)
    assert run, output
    left = {found.run: found for found in leftover_runs(api)}
    assert run[1] in left
    # As a mesh-wide case does that is killed before it can take its change back.
    before = MeshConfigMap(api).change({"defaultHttpRetryPolicy": {"attempts": 1}})
    while any(found.alive for found in leftover_runs(api)):
        threading.Event().wait(0.5)  # the dead run's lease has to run out
    again = run_suite("conformance/timeouts")
    assert again.exit == 0, again.output
    assert run[1] in again.output
    assert MeshConfigMap(api).pending_restore() is None
    assert api.core.read_namespaced_config_map("istio", "istio-system").data["mesh"] == before
    until_gone = threading.Event()
    while leftover_runs(api):
        until_gone.wait(0.2)
