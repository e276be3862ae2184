"""Measures what a probe costs compared with a plain exec of the same curl, and what applying a test's manifests costs.

Run against a ready mesh: python benchmarks/probe.py [--kubeconfig FILE] [ROUNDS]. Prints minimum, median and maximum in
milliseconds; the measurements alternate within one run. Everything it creates is removed at the end.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path

from one_worker import new_runner, timed

from pytest_istio_egress import Outcome, get
from pytest_istio_egress.cluster.commands import run
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.pipeline.runner import CaseRunner
from pytest_istio_egress.pipeline.source_ports import SourcePorts
from pytest_istio_egress.suite.discovery import suite_folder

PROBE = get("http://api.test/headers")
EXPECTED = Outcome(status=200, reached="outside", cluster="outbound|80||api.test")


def case(name: str) -> Case:
    """Return one of the suite's manifests as a case."""
    folder = suite_folder() / "service_entry"
    return Case(page="", summary="", folder=folder, manifests=(folder / f"{name}.yaml",), requires=(), outcomes=())


def measure(runner: CaseRunner, kubeconfig: Path | None, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each step, one figure per round."""
    listed, other = case("http_host"), case("without_entry")
    context = runner.context
    pod = context.environment.pod(PROBE.client)
    ports = SourcePorts()

    def command() -> list[str]:
        return [context.names.render(word) for word in PROBE.command("benchmark", ports.take())]

    kubectl = [
        "kubectl",
        *(["--kubeconfig", str(kubeconfig)] if kubeconfig else []),
        "exec",
        "-n",
        pod.namespace,
        pod.name,
    ]
    figures: dict[str, list[float]] = {}

    def kubectl_exec(words: list[str]) -> None:
        subprocess.run([*kubectl, "-c", pod.container, "--", *words], check=True, capture_output=True)

    def note(step: str, action: Callable[[], object]) -> None:
        figures.setdefault(step, []).append(timed(action) * 1000)

    for _ in range(rounds):
        runner.enter(other)
        note("a test's manifests: apply, sync, delete", lambda: runner.enter(listed))
        note("kubectl exec of curl", lambda: kubectl_exec(command()))
        note("exec of curl", lambda: run(context.api, pod, command()))
        note("one parameter: probe, log lines, verdict", lambda: runner.verify([(PROBE, EXPECTED)]))
        note("eight parameters side by side", lambda: runner.verify([(PROBE, EXPECTED)] * 8))
    return figures


def main() -> None:
    """Create the environment, measure, print, clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", type=Path)
    parser.add_argument("rounds", type=int, nargs="?", default=10)
    arguments = parser.parse_args()
    with new_runner(arguments.kubeconfig) as runner:
        built = timed(runner.context.environment.build) * 1000
        print(f"{'the environment: four namespaces, five pods, ready':<52}{built:>9.0f} ms")
        for step, taken in measure(runner, arguments.kubeconfig, arguments.rounds).items():
            print(f"{step:<52}{min(taken):>9.0f}{statistics.median(taken):>9.0f}{max(taken):>9.0f} ms")


if __name__ == "__main__":
    main()
