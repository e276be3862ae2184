"""Runs the suite against a ready mesh, once or several times: how long each phase takes, and what was flaky.

    python benchmarks/suite.py [--workers N] [--rounds R] [PYTEST ARGUMENT ...]

The floor is the time of the probes and the changes of configuration (apply, sync, probe, delete), shared by the
workers; the rest is waiting for Envoy's log, for pods of single tests, and pytest's own work. Exit status 1 where a
parameter failed in a round; parameters that were probed more than once are counted too.
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
ATTEMPTS = "istio-egress.attempts"
FLOOR = ("apply", "sync", "probe", "delete")
ORDER = ("environment", "pods", "apply", "sync", "probe", "log lines", "delete", "probe again", "log lines again")


@dataclass
class Round:
    """One run: its wall time, the time of its parameters by phase, all in seconds; and the flaky ones."""

    wall: float
    parameters: int = 0
    busy: float = 0.0
    timer: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)

    @property
    def work(self) -> float:
        """The seconds of the phases of the floor."""
        return sum(self.timer.get(name, 0.0) for name in FLOOR)


def run_suite(workers: int, arguments: Sequence[str]) -> Round:
    """Run the suite once; its output goes to the standard error."""
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
    """Add up the properties of the parameters in the JUnit XML."""
    found = Round(wall)
    for case in ElementTree.parse(results).iter("testcase"):  # noqa: S314  # written by our own run
        name = f"{str(case.get('classname')).removeprefix('conformance.')}::{case.get('name')}"
        properties = {str(item.get("name")): str(item.get("value")) for item in case.iter("property")}
        found.parameters += case.find("skipped") is None
        found.busy += float(case.get("time", 0))
        if case.find("failure") is not None or case.find("error") is not None:
            found.failed.append(name)
        elif int(properties.get(ATTEMPTS, 1)) > 1:
            found.again.append(name)
        for key, value in properties.items():
            if key.startswith(PHASE):
                phase = key.removeprefix(PHASE)
                found.timer[phase] = found.timer.get(phase, 0.0) + float(value)
    return found


def spread(values: Sequence[float]) -> str:
    """Minimum, median and maximum."""
    return f"{min(values):8.1f} {statistics.median(values):8.1f} {max(values):8.1f}"


def write_times(rounds: Sequence[Round], workers: int) -> None:
    """Print the seconds of each phase."""
    print(f"{'seconds':24} {'min':>8} {'median':>8} {'max':>8}")
    print(f"{'wall':24} {spread([one.wall for one in rounds])}")
    print(f"{'for 150 parameters':24} {spread([150 * one.wall / one.parameters for one in rounds])}")
    print(f"{f'of {workers} workers':24} {spread([one.wall * workers for one in rounds])}")
    for name in ORDER:
        print(f"  {name:22} {spread([one.timer.get(name, 0.0) for one in rounds])}")
    print(f"  {'rest of the tests':22} {spread([one.busy - sum(one.timer.values()) for one in rounds])}")
    print(f"  {'idle, and pytest':22} {spread([one.wall * workers - one.busy for one in rounds])}")
    print(f"{'floor':24} {spread([one.work / workers for one in rounds])}")
    print(f"{'wall / floor':24} {spread([one.wall * workers / one.work for one in rounds])}")


def write_steadiness(rounds: Sequence[Round]) -> None:
    """Print which parameters failed, and which were probed more than once before they passed."""
    for title, names in (
        ("failed", Counter(name for one in rounds for name in one.failed)),
        ("probed more than once", Counter(name for one in rounds for name in one.again)),
    ):
        print(f"{title}: {names.total()} of {sum(one.parameters for one in rounds)}")
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
        progress = f"round {number} of {chosen.rounds}: {rounds[-1].wall:.1f} s, {len(rounds[-1].failed)} failed"
        print(progress, file=sys.stderr, flush=True)
    print(f"{len(rounds)} rounds, {chosen.workers} workers, {rounds[0].parameters} parameters")
    print(f"rounds without failures: {sum(not one.failed for one in rounds)} of {len(rounds)}")
    write_steadiness(rounds)
    write_times(rounds, chosen.workers)
    sys.exit(any(one.failed for one in rounds))


if __name__ == "__main__":
    main()
