"""Drives the same cases twice: by this suite's pipeline, and the way that documents do it.

The documents' way is one kubectl process per step, and polling with a second's sleep between: apply, exec of curl until
the answer is as documented, logs of the sidecar until the request's line is there, delete.

    python benchmarks/documentation_way.py [--kubeconfig FILE] [ROUNDS]

Prints minimum, median and maximum in seconds, taken alternately within one run. What it makes is removed at the end.
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
from typing import Any

import yaml

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import Applier, load
from pytest_istio_egress.cluster.environment import Environment
from pytest_istio_egress.cluster.log_lookup import AccessLogs
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.mesh_names import MeshNames
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.run_lease import remove
from pytest_istio_egress.model.case import CASE_NAMESPACE, Case, case_of
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.model.probe import Probe, parse
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.pipeline.runner import CaseRunner
from pytest_istio_egress.pipeline.source_ports import SourcePorts
from pytest_istio_egress.run_target import new_run
from pytest_istio_egress.suite.discovery import fixtures_folder, suite_folder
from pytest_istio_egress.verdict.verdict import Expectation

MODULES = (
    "registry_only/test_unlisted_hosts.py",
    "service_entry/test_http_host.py",
    "service_entry/test_https_dns.py",
    "service_entry/test_tcp_port.py",
    "timeouts/test_shorter_than_delay.py",
)
PATIENCE = 60
"""Times that the documents' way looks again before it gives up."""


@dataclass(frozen=True)
class Asked:
    """One case and what its parameters ask."""

    case: Case
    expectations: Sequence[Expectation]


def asked(module: str) -> list[Asked]:
    """Read a module's cases: those whose parameters are pairs of probe and outcome."""
    found = []
    for test in runpy.run_path(str(suite_folder() / module)).values():
        case = case_of(test)
        for mark in getattr(test, "pytestmark", []) if case else []:
            if mark.name == "parametrize" and tuple(mark.args[0]) == ("probe", "expected"):
                assert case
                found.append(Asked(case, [tuple(values.values) for values in mark.args[1]]))
    return found


class Documents:
    """One kubectl process per step."""

    def __init__(self, runner: CaseRunner, kubeconfig: Path | None) -> None:
        self.runner = runner
        self.ports = SourcePorts()
        self.kubectl = ["kubectl", *(["--kubeconfig", str(kubeconfig)] if kubeconfig else [])]

    def run(self, *words: str) -> str:
        """Run kubectl and return what it printed; curl's own failures are part of what is looked for."""
        return subprocess.run([*self.kubectl, *words], capture_output=True, text=True, check=False).stdout

    def ask(self, asked: Asked) -> None:
        """Take one case through its steps, one after the other."""
        applier = Applier(self.runner.api, self.runner.names)
        documents = [applier.rendered(document, CASE_NAMESPACE) for document in load(asked.case.manifests)]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as manifest:
            yaml.safe_dump_all(documents, manifest)
            manifest.flush()
            self.run("apply", "-f", manifest.name)
            for probe, expected in asked.expectations:
                until(lambda probe=probe, expected=expected: self.seen(probe, expected))  # type: ignore[misc]  # bound now
            self.run("delete", "-f", manifest.name)

    def seen(self, probe: Probe, expected: Outcome) -> bool:
        """Whether curl says what is documented, and the sidecar has a line for it."""
        pod = self.runner.environment.pod(probe.client)
        user_agent = f"documents/{uuid.uuid4().hex[:12]}"
        words = [self.runner.names.render(word) for word in probe.command(user_agent, self.ports.take())]
        said = parse(self.run("exec", "-n", pod.namespace, pod.name, "-c", pod.container, "--", *words), "")
        if (said.status or None) != expected.status or said.exit not in expected.exits:
            return False
        source = f"{said.local_address}:{said.local_port}"
        logs = ("logs", "-n", pod.namespace, pod.name, "-c", "istio-proxy", "--tail", "200")
        return not pod.injected or until(lambda: source in self.run(*logs))


def until(look: Callable[[], bool]) -> bool:
    """Look until it is so, with a second's sleep between, as the documents' own scripts do."""
    for _ in range(PATIENCE):
        if look():
            return True
        time.sleep(1)
    raise SystemExit("benchmarks/documentation_way.py: the documents' way did not see what is documented")


def timed(action: Callable[[], Any]) -> float:
    """Return how many seconds an action took."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


def measure(runner: CaseRunner, documents: Documents, cases: Sequence[Asked], rounds: int) -> dict[str, list[float]]:
    """Take all figures, one of each kind per round."""

    def pipeline() -> None:
        for one in cases:
            runner.enter(one.case)
            verdicts = runner.verify(one.expectations)
            if not all(verdict.passed for verdict in verdicts):
                raise SystemExit("benchmarks/documentation_way.py: a case did not hold; run the suite to see why")
        runner.case_setup.leave()

    def by_kubectl() -> None:
        for one in cases:
            documents.ask(one)

    figures: dict[str, list[float]] = {"the suite's pipeline, one worker": [], "the documents' way": []}
    for _ in range(rounds):
        figures["the suite's pipeline, one worker"].append(timed(pipeline))
        figures["the documents' way"].append(timed(by_kubectl))
    return figures


def main() -> None:
    """Build the world, measure, print, clean up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=Path)
    parser.add_argument("rounds", type=int, nargs="?", default=3)
    arguments = parser.parse_args()
    api = Api(arguments.kubeconfig, None)
    mesh = Mesh(api)
    names = Names(new_run(), "main", mesh=MeshNames.of(mesh.facts))
    environment = Environment(api, names, fixtures_folder(), Timeouts().ready)
    try:
        environment.build()
        runner = CaseRunner(api, environment, AccessLogs(api, mesh, names), Timeouts())
        cases = [one for module in MODULES for one in asked(module)]
        figures = measure(runner, Documents(runner, arguments.kubeconfig), cases, arguments.rounds)
        print(
            f"{len(cases)} cases, {sum(len(one.expectations) for one in cases)} behaviours, {arguments.rounds} rounds"
        )
        for what, taken in figures.items():
            print(f"{what:<36}{min(taken):>8.1f}{statistics.median(taken):>8.1f}{max(taken):>8.1f} s")
    finally:
        remove(api, names.run)


if __name__ == "__main__":
    main()
