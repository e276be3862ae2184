"""Runs the suite against a ready mesh and says where its time went, against the floor of what it had to do.

    python benchmarks/suite.py [--workers N] [--rounds R] [PYTEST ARGUMENT ...]

The floor is what the probes and the changes of configuration themselves took (apply, settle, probe, clean), shared by
the workers; what stands above it is waiting for Envoy's log, pods that cases bring along, and pytest's own work.
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
from dataclasses import dataclass
from pathlib import Path

PHASE = "istio-egress.seconds."
FLOOR = ("apply", "settle", "probe", "clean")
ORDER = ("world", "pods", "apply", "settle", "probe", "witness", "clean", "probe again", "witness again")


@dataclass(frozen=True)
class Round:
    """One run: its wall time, its cases' own time and how that was spent, all in seconds."""

    wall: float
    cases: int
    failed: int
    busy: float
    phases: Counter[str]

    @property
    def work(self) -> float:
        """What had to be done, whoever does it."""
        return sum(self.phases[name] for name in FLOOR)


def run_suite(workers: int, arguments: Sequence[str]) -> Round:
    """Run the suite once."""
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
        return read(results, time.monotonic() - began)


def read(results: Path, wall: float) -> Round:
    """Add up what JUnit's XML says of the cases."""
    phases: Counter[str] = Counter()
    cases = failed = 0
    busy = 0.0
    for case in ElementTree.parse(results).iter("testcase"):  # noqa: S314  # written by our own run
        cases += case.find("skipped") is None
        failed += case.find("failure") is not None or case.find("error") is not None
        busy += float(case.get("time", 0))
        for item in case.iter("property"):
            name = item.get("name", "")
            if name.startswith(PHASE):
                phases[name.removeprefix(PHASE)] += float(item.get("value", 0))
    return Round(wall, cases, failed, busy, phases)


def spread(values: Sequence[float]) -> str:
    """Minimum, median and maximum, in seconds."""
    return f"{min(values):7.1f} {statistics.median(values):7.1f} {max(values):7.1f}"


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    chosen, arguments = parser.parse_known_args()
    rounds = [run_suite(chosen.workers, arguments) for _ in range(chosen.rounds)]
    print(
        f"{chosen.rounds} rounds, {chosen.workers} workers, {rounds[0].cases} cases, failed: "
        + ", ".join(str(one.failed) for one in rounds)
    )
    print(f"{'seconds':24} {'min':>7} {'median':>7} {'max':>7}")
    print(f"{'wall':24} {spread([one.wall for one in rounds])}")
    print(f"{'per case':24} {spread([one.wall / one.cases for one in rounds])}")
    print(f"{'all workers':24} {spread([one.wall * chosen.workers for one in rounds])}")
    for name in ORDER:
        print(f"  {name:22} {spread([one.phases[name] for one in rounds])}")
    print(f"  {'rest of the cases':22} {spread([one.busy - one.phases.total() for one in rounds])}")
    print(f"  {'idle and pytest':22} {spread([one.wall * chosen.workers - one.busy for one in rounds])}")
    print(f"{'floor':24} {spread([one.work / chosen.workers for one in rounds])}")
    print(f"{'wall / floor':24} {spread([one.wall * chosen.workers / one.work for one in rounds])}")


if __name__ == "__main__":
    main()
