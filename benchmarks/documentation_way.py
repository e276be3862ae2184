"""Runs the same tests twice: with this suite's pipeline, and step by step with kubectl as a person would.

Step by step means one kubectl process per step, and polling once a second: apply, exec of curl until the response is as
documented, logs of the sidecar until the line of the request is there, delete.

    python benchmarks/documentation_way.py [--kubeconfig FILE] [ROUNDS]

Prints minimum, median and maximum in seconds; the two alternate within one run. Everything it creates is removed at the
end.
"""

from __future__ import annotations

import argparse
import runpy
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from one_worker import new_runner, timed

from pytest_istio_egress.cluster.apply import Applier, load
from pytest_istio_egress.model.addresses import with_port
from pytest_istio_egress.model.case import CASE_NAMESPACE, Case, case_of
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.model.probe import Probe, parse
from pytest_istio_egress.pipeline.runner import CaseRunner
from pytest_istio_egress.pipeline.source_ports import SourcePorts
from pytest_istio_egress.suite.discovery import suite_folder
from pytest_istio_egress.verdict.verdict import Expectation

MODULES = (
    "outbound_policy/test_registry_only.py",
    "service_entry/test_http_host.py",
    "service_entry/test_https_dns.py",
    "service_entry/test_tcp_port.py",
    "timeouts/test_timeout_below_delay.py",
)
LOOKS = 60
"""How often kubectl looks, once a second, before this benchmark gives up."""


@dataclass(frozen=True)
class ShippedTest:
    """One test of the suite and its parameters."""

    case: Case
    parameters: Sequence[Expectation]


def tests_of(module: str) -> list[ShippedTest]:
    """Return a module's tests with parameters, each a pair of probe and expected outcome."""
    tests = []
    for function in runpy.run_path(str(suite_folder() / module)).values():
        marks = [mark for mark in getattr(function, "pytestmark", ()) if mark.name == "parametrize"]
        values = [parameter.values for mark in marks for parameter in mark.args[1]]
        parameters = [(probe, expected.for_probe(probe)) for probe, expected in values]
        if (case := case_of(function)) and parameters:
            tests.append(ShippedTest(case, parameters))
    return tests


class Kubectl:
    """One kubectl process per step."""

    def __init__(self, runner: CaseRunner, kubeconfig: Path | None) -> None:
        self.context = runner.context
        self.ports = SourcePorts()
        self.kubectl = ["kubectl", *(["--kubeconfig", str(kubeconfig)] if kubeconfig else [])]

    def run(self, *words: str) -> str:
        """Run kubectl and return what it printed; curl's failures are expected outcomes, too."""
        return subprocess.run([*self.kubectl, *words], capture_output=True, text=True, check=False).stdout

    def verify(self, test: ShippedTest) -> None:
        """Take one test through its steps, one after the other."""
        applier = Applier(self.context.api, self.context.names)
        documents = [applier.rendered(document, CASE_NAMESPACE) for document in load(test.case.manifests)]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as manifest:
            yaml.safe_dump_all(documents, manifest)
            manifest.flush()
            self.run("apply", "-f", manifest.name)
            for probe, expected in test.parameters:
                until(lambda probe=probe, expected=expected: self.passed(probe, expected))  # type: ignore[misc]  # bound now
            self.run("delete", "-f", manifest.name)

    def passed(self, probe: Probe, expected: Outcome) -> bool:
        """Whether curl's result is as expected, and the sidecar logged the request."""
        pod = self.context.environment.pod(probe.client)
        user_agent = f"documents/{uuid.uuid4().hex[:12]}"
        words = [self.context.names.render(word) for word in probe.command(user_agent, self.ports.take())]
        curl = parse(self.run("exec", "-n", pod.namespace, pod.name, "-c", pod.container, "--", *words), "")
        if (curl.status or None) != expected.status or curl.exit not in expected.exits:
            return False
        source = with_port(curl.local_address, curl.local_port)
        logs = ("logs", "-n", pod.namespace, pod.name, "-c", "istio-proxy", "--tail", "200")
        return not pod.injected or until(lambda: source in self.run(*logs))


def until(condition: Callable[[], bool]) -> bool:
    """Poll a condition once a second, as the scripts in Istio's documentation do."""
    for _ in range(LOOKS):
        if condition():
            return True
        time.sleep(1)
    raise SystemExit(f"benchmarks/documentation_way.py: kubectl did not see the documented outcome in {LOOKS} s")


def measure(runner: CaseRunner, kubectl: Kubectl, tests: Sequence[ShippedTest], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of both ways, one figure per round."""

    def pipeline() -> None:
        for test in tests:
            runner.enter(test.case)
            if not all(verdict.passed for verdict in runner.verify(test.parameters)):
                raise SystemExit("benchmarks/documentation_way.py: a parameter failed; run the suite for the cause")
        runner.case_setup.leave()

    def by_kubectl() -> None:
        environment = runner.context.environment
        for test in tests:
            environment.activate(environment.needed(test.case.fixtures, test.case.requires))
            kubectl.verify(test)

    figures: dict[str, list[float]] = {"pipeline, one worker": [], "kubectl step by step": []}
    for _ in range(rounds):
        figures["pipeline, one worker"].append(timed(pipeline))
        figures["kubectl step by step"].append(timed(by_kubectl))
    return figures


def main() -> None:
    """Create the environment, measure, print, clean up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=Path)
    parser.add_argument("rounds", type=int, nargs="?", default=3)
    arguments = parser.parse_args()
    with new_runner(arguments.kubeconfig) as runner:
        runner.case_setup.ensure_environment()
        tests = [test for module in MODULES for test in tests_of(module)]
        figures = measure(runner, Kubectl(runner, arguments.kubeconfig), tests, arguments.rounds)
        parameters = sum(len(test.parameters) for test in tests)
        print(f"{len(tests)} tests, {parameters} parameters, {arguments.rounds} rounds")
        for name, taken in figures.items():
            print(f"{name:<36}{min(taken):>8.1f}{statistics.median(taken):>8.1f}{max(taken):>8.1f} s")


if __name__ == "__main__":
    main()
