"""One embedded cluster for all tests of the suite, and the suite run on it as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kubernetes import watch
from service_account import with_documented_rights  # type: ignore[import-not-found]  # as suite_run
from suite_run import Run, RunSuite, environment, read_outcomes  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, up
from pytest_istio_egress.embedded import down as end

sys.path.insert(0, str(Path(__file__).parents[2] / "demonstrations" / "faults"))  # snapshot.py

NAME = f"suite-{os.getpid()}"
"""Unique to this test run: a concurrent one must not stop its cluster."""


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedCluster]:
    """A real cluster, started for these tests and stopped after them."""
    yield up(ClusterSpec(name=NAME), install_packages=True, tied_to_caller=True)
    end(NAME)


@pytest.fixture(scope="session")
def api(embedded: EmbeddedCluster) -> Api:
    return Api(embedded.kubeconfig, None)


@pytest.fixture
def created_namespaces(api: Api) -> Callable[[], set[str]]:
    """Return the namespaces created since the test began, including deleted ones."""
    before = api.core.list_namespace().metadata.resource_version

    def names() -> set[str]:
        # Our own change marks the end of the events so far.
        now = api.core.patch_namespace("default", {"metadata": {"annotations": {"tests/created-namespaces": before}}})
        created: set[str] = set()
        for event in watch.Watch().stream(api.core.list_namespace, resource_version=before, timeout_seconds=60):
            metadata = event["object"].metadata
            if metadata.resource_version == now.metadata.resource_version:
                return created
            if event["type"] == "ADDED":
                created.add(metadata.name)
        raise AssertionError("the API server sent no event for the change")

    return names


@pytest.fixture(scope="session")
def kubeconfig(embedded: EmbeddedCluster, api: Api, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kubeconfig of a service account with the documented permissions, for runs of the suite."""
    written: Path = with_documented_rights(api, embedded.kubeconfig, tmp_path_factory.mktemp("rights"))
    return written


@pytest.fixture
def suite_command(kubeconfig: Path) -> list[str]:
    """The command line of a run on that cluster."""
    return [sys.executable, "-m", "pytest", "--istio-egress", "--istio-egress-kubeconfig", str(kubeconfig)]


@pytest.fixture
def run_suite(suite_command: list[str], tmp_path: Path) -> RunSuite:
    """Run the suite with more arguments, from an empty folder."""

    def run(*arguments: str | Path) -> Run:
        results = tmp_path / "junit.xml"
        results.unlink(missing_ok=True)
        command = [*suite_command, f"--junitxml={results}", "-p", "no:cacheprovider", *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment())
        return Run(done.returncode, done.stdout + done.stderr, read_outcomes(results) if results.exists() else {})

    return run
