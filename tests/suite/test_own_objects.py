"""What a user's test creates in another namespace is deleted with the run, and an object of others is not changed."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from kubernetes.client.exceptions import ApiException
from suite_run import RunSuite, environment  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.cluster.run_lease import leftover_runs

pytestmark = pytest.mark.embedded

ENTRY = dedent("""\
    apiVersion: networking.istio.io/v1
    kind: ServiceEntry
    metadata: {name: elsewhere, namespace: default}
    spec:
      hosts: [elsewhere.test]
      ports: [{number: 80, name: http, protocol: HTTP}]
      resolution: STATIC
      endpoints: [{address: 192.0.2.80}]
    """)
MODULE = dedent("""\
    import pytest
    from pytest_istio_egress import documented, get, reached

    @documented(source="https://example.com", summary="An entry of another namespace is reached", manifests=["e.yaml"])
    @pytest.mark.parametrize(("probe", "expected"), [(get("http://elsewhere.test/headers"), reached())])
    def test_elsewhere(egress, probe, expected):
        egress.expect(probe, expected)
    """)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A user's test whose manifest creates an object in a namespace that is not the run's."""
    (tmp_path / "e.yaml").write_text(ENTRY)
    module = tmp_path / "test_own.py"
    module.write_text(MODULE)
    return module


@pytest.fixture
def foreign_entry(api: Api) -> Iterator[str]:
    """An object of the same name, which is not the suite's; returns its version."""
    kind = api.resource("networking.istio.io/v1", "ServiceEntry")
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "elsewhere", "namespace": "default"},
        "spec": {"hosts": ["others.test"], "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]},
    }
    yield str(kind.create(body=body, namespace="default").metadata.resourceVersion)
    kind.delete(name="elsewhere", namespace="default")


def version(api: Api) -> str | None:
    """Return the version of the object, None where it does not exist."""
    try:
        found = api.resource("networking.istio.io/v1", "ServiceEntry").get(name="elsewhere", namespace="default")
    except ApiException as error:
        if error.status == 404:
            return None
        raise
    return str(found.metadata.resourceVersion)


def test_object_is_deleted_with_the_run(run_suite: RunSuite, module: Path, api: Api) -> None:
    run = run_suite(module)
    assert run.exit == 0, run.output
    assert version(api) is None


def test_object_of_others_is_not_changed(run_suite: RunSuite, module: Path, api: Api, foreign_entry: str) -> None:
    run = run_suite(module)
    assert run.exit == 1, run.output
    assert "serviceentry/elsewhere -n default exists already and is not the suite's" in run.output
    assert version(api) == foreign_entry


def test_object_of_a_killed_run_is_deleted_by_the_next(
    suite_command: list[str], run_suite: RunSuite, module: Path, api: Api, tmp_path: Path
) -> None:
    output = tmp_path / "output.txt"
    with (
        output.open("w") as file,
        subprocess.Popen(
            [*suite_command, "-p", "no:cacheprovider", str(module)], cwd=tmp_path, stdout=file, env=environment()
        ) as running,
    ):
        assert poll(lambda: version(api) is not None, every=0.05, timeout=120), output.read_text()
        running.send_signal(signal.SIGKILL)
    run = re.search(r", run (\w+)", output.read_text())
    assert run, output.read_text()
    [killed] = [leftover for leftover in leftover_runs(api) if leftover.run == run[1]]
    assert [str(resource) for resource in killed.elsewhere] == ["serviceentry/elsewhere -n default"]
    assert poll(lambda: not any(leftover.alive for leftover in leftover_runs(api)), every=0.5, timeout=120)
    again = run_suite("conformance/timeouts")
    assert again.exit == 0, again.output
    assert version(api) is None
