"""Runs the suite against a ready mesh, once or many times: where the time goes, and which parameters are flaky.

    python benchmarks/suite.py [--workers N] [--rounds R] [PYTEST ARGUMENT ...]

The floor is the time of the probes and of the changes of configuration (apply, sync, probe, delete) divided by the
number of workers. The rest is waiting for Envoy's log, the pods of single tests, and pytest's own work. Exit status 1
if a parameter failed in any round; parameters that passed only at a later attempt are counted, too.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_istio_egress.plugin.scheduler import WORKERS

PHASE = "istio-egress.seconds."
UNSTEADY = ".unsteady"
"""How the property of a probe ends that lists its answers that were not as expected."""
FLOOR = ("apply", "sync", "probe", "delete")
ORDER = ("environment", "pods", "apply", "sync", "probe", "log lines", "delete", "probe again", "log lines again")


@dataclass
class Round:
    """One run. Times are in seconds."""

    wall: float
    parameters: int = 0
    """Parameters that were not skipped."""
    busy: float = 0.0
    """The time of the parameters, setup included, over all workers."""
    phases: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    """Parameters that passed, but not at the first attempt."""

    @property
    def work(self) -> float:
        """The time of the phases that no run can do without, over all workers."""
        return sum(self.phases.get(name, 0.0) for name in FLOOR)


def run_suite(workers: int, arguments: Sequence[str]) -> Round:
    """Run the suite once; its output goes to standard error."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "junit.xml"
        began = time.monotonic()
        subprocess.run(
            [
                sys.executable, "-m", "pytest", "--istio-egress", "-q", "--tb=short", "-p", "no:cacheprovider",
                "-n", str(workers), f"--junitxml={results}", *arguments,
            ],
            stdout=sys.stderr,
            check=False,
        )  # fmt: skip
        wall = time.monotonic() - began
        if not results.exists():
            sys.exit("benchmarks/suite.py: pytest wrote no results; see its output above")
        return read(results, wall)


def read(results: Path, wall: float) -> Round:
    """Add up the parameters in a JUnit XML file."""
    summary = Round(wall)
    for case in ElementTree.parse(results).iter("testcase"):  # noqa: S314  # written by our own run
        name = f"{str(case.get('classname')).removeprefix('conformance.')}::{case.get('name')}"
        properties = {str(item.get("name")): str(item.get("value")) for item in case.iter("property")}
        summary.parameters += case.find("skipped") is None
        summary.busy += float(case.get("time", 0))
        if case.find("failure") is not None or case.find("error") is not None:
            summary.failed.append(name)
        elif any(key.endswith(UNSTEADY) for key in properties):
            summary.retried.append(name)
        for key, value in properties.items():
            if key.startswith(PHASE):
                phase = key.removeprefix(PHASE)
                summary.phases[phase] = summary.phases.get(phase, 0.0) + float(value)
    return summary


def spread(values: Sequence[float]) -> str:
    """Return minimum, median and maximum in columns."""
    return f"{min(values):8.1f} {statistics.median(values):8.1f} {max(values):8.1f}"


def write_times(rounds: Sequence[Round], workers: int) -> None:
    """Print where the time went."""
    print(f"{'seconds':24} {'min':>8} {'median':>8} {'max':>8}")
    print(f"{'wall':24} {spread([one.wall for one in rounds])}")
    print(f"{'per 150 parameters':24} {spread([150 * one.wall / one.parameters for one in rounds])}")
    print(f"{f'sum of {workers} workers':24} {spread([one.wall * workers for one in rounds])}")
    for name in ORDER:
        print(f"  {name:22} {spread([one.phases.get(name, 0.0) for one in rounds])}")
    print(f"  {'rest of the tests':22} {spread([one.busy - sum(one.phases.values()) for one in rounds])}")
    print(f"  {'idle, and pytest':22} {spread([one.wall * workers - one.busy for one in rounds])}")
    print(f"{'floor':24} {spread([one.work / workers for one in rounds])}")
    print(f"{'wall / floor':24} {spread([one.wall * workers / one.work for one in rounds])}")


def write_flaky(rounds: Sequence[Round]) -> None:
    """Print the parameters that failed, and those that passed only at a later attempt."""
    for result, names in (
        ("failed", Counter(name for one in rounds for name in one.failed)),
        ("passed at a later attempt", Counter(name for one in rounds for name in one.retried)),
    ):
        print(f"{result}: {names.total()} of {sum(one.parameters for one in rounds)}")
        for name, count in sorted(names.items(), key=lambda item: (-item[1], item[0])):
            print(f"  {count:3} {name}")


def main() -> None:
    """Run the rounds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--rounds", type=int, default=1)
    chosen, arguments = parser.parse_known_args()
    rounds: list[Round] = []
    for number in range(1, chosen.rounds + 1):
        rounds.append(run_suite(chosen.workers, arguments))
        line = f"round {number} of {chosen.rounds}: {rounds[-1].wall:.1f} s, {len(rounds[-1].failed)} failed"
        print(line, file=sys.stderr, flush=True)
    print(f"{len(rounds)} rounds, {chosen.workers} workers, {rounds[0].parameters} parameters")
    print(f"rounds without a failure: {sum(not one.failed for one in rounds)} of {len(rounds)}")
    write_flaky(rounds)
    write_times(rounds, chosen.workers)
    sys.exit(any(one.failed for one in rounds))


if __name__ == "__main__":
    main()
