"""Measures what a probe costs beyond a bare exec of the same curl, and what bringing a case on stage costs.

Run against a ready mesh: python benchmarks/probe.py [--kubeconfig FILE] [ROUNDS]. Prints minimum, median and maximum in
milliseconds, all taken alternately within one run. What it makes is removed at the end.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from pytest_istio_egress import Outcome, get
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.environment import Environment
from pytest_istio_egress.cluster.log_lookup import AccessLogs
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.mesh_names import MeshNames
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import run
from pytest_istio_egress.cluster.run_lease import remove
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.pipeline.runner import CaseRunner
from pytest_istio_egress.pipeline.source_ports import SourcePorts
from pytest_istio_egress.run_target import new_run
from pytest_istio_egress.suite.discovery import fixtures_folder, suite_folder

PROBE = get("http://api.test/headers")
EXPECTED = Outcome(status=200, reached="outside", cluster="outbound|80||api.test")


def timed(action: Callable[[], object]) -> float:
    """Return how many milliseconds an action took."""
    began = time.monotonic()
    action()
    return (time.monotonic() - began) * 1000


def case(name: str) -> Case:
    """Return one of the suite's manifests as a case."""
    folder = suite_folder() / "service_entry"
    return Case(
        page="", summary="", folder=folder, manifests=(folder / f"{name}.yaml",), requires=(), since=None, outcomes=()
    )  # fmt: skip


def measure(runner: CaseRunner, kubeconfig: Path | None, rounds: int) -> dict[str, list[float]]:
    """Take all figures, one of each kind per round."""
    listed, other = case("http_host"), case("without_entry")
    pod = runner.environment.pod(PROBE.client)
    ports = SourcePorts()

    def command() -> list[str]:
        return [runner.names.render(word) for word in PROBE.command("benchmark", ports.take())]

    kubectl = [
        "kubectl",
        *(["--kubeconfig", str(kubeconfig)] if kubeconfig else []),
        "exec",
        "-n",
        pod.namespace,
        pod.name,
    ]
    figures: dict[str, list[float]] = {}

    def by_kubectl(words: list[str]) -> None:
        subprocess.run([*kubectl, "-c", pod.container, "--", *words], check=True, capture_output=True)

    def note(what: str, action: Callable[[], object]) -> None:
        figures.setdefault(what, []).append(timed(action))

    for _ in range(rounds):
        runner.enter(other)
        note("a case's configuration: apply, settle, clean", lambda: runner.enter(listed))
        note("kubectl exec of curl", lambda: by_kubectl(command()))
        note("exec of curl", lambda: run(runner.api, pod, command()))
        note("one expectation: probe, witness, judge", lambda: runner.verify([(PROBE, EXPECTED)]))
        note("eight expectations side by side", lambda: runner.verify([(PROBE, EXPECTED)] * 8))
    return figures


def main() -> None:
    """Build the world, measure, print, clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", type=Path)
    parser.add_argument("rounds", type=int, nargs="?", default=10)
    arguments = parser.parse_args()
    api = Api(arguments.kubeconfig, None)
    mesh = Mesh(api)
    names = Names(new_run(), "main", mesh=MeshNames.of(mesh.facts))
    environment = Environment(api, names, fixtures_folder(), Timeouts().ready)
    try:
        print(f"{'the environment: four namespaces, five pods, ready':<48}{timed(environment.build):>9.0f} ms")
        runner = CaseRunner(api, environment, AccessLogs(api, mesh, names), Timeouts())
        for what, taken in measure(runner, arguments.kubeconfig, arguments.rounds).items():
            print(f"{what:<48}{min(taken):>9.0f}{statistics.median(taken):>9.0f}{max(taken):>9.0f} ms")
    finally:
        remove(api, names.run)


if __name__ == "__main__":
    main()
