"""Pods that are deleted during a run cause correct results or errors, never wrong verdicts, and nothing is left."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from snapshot import snapshot
from suite_run import environment  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.cluster.api import Api

pytestmark = pytest.mark.embedded


def test_deleted_pods_cause_no_wrong_verdict(suite_command: list[str], api: Api, tmp_path: Path) -> None:
    before = snapshot(api)
    cases = ("conformance/timeouts", "conformance/kubernetes_services/test_endpoints.py")
    with subprocess.Popen(
        [*suite_command, "-v", "-p", "no:cacheprovider", *cases],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment(),
    ) as running:  # fmt: skip
        assert running.stdout
        output, deleted = "", False
        for line in running.stdout:
            output += line
            if " PASSED " in line and not deleted:  # the client's pod, and the server whose address some tests use
                deleted = True
                run = re.search(r", run (\w+)", output)
                assert run, output
                for namespace, app in (
                    (f"egress-client-{run[1]}-gw0", "sleep"),
                    (f"egress-outside-{run[1]}", "outside"),
                ):
                    (pod,) = api.core.list_namespaced_pod(namespace, label_selector=f"app={app}").items
                    api.core.delete_namespaced_pod(pod.metadata.name, namespace, grace_period_seconds=0)
    assert deleted, output
    assert "differs:" not in output, output
    assert snapshot(api) == before
