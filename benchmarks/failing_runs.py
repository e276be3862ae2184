"""Runs the suite as it is, then with a share of its tests set up without their rules, and compares the times.

    python benchmarks/failing_runs.py [--workers N] [--percent P ...] [PYTEST ARGUMENT ...]

A user waits for a run with failures as for any other. A failure is probed again as long as configuration may be late,
and its cause is looked for in the proxies.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from broken_tests import VARIABLE
from suite import Round, run_suite

from pytest_istio_egress.plugin.scheduler import WORKERS

PLUGIN = "broken_tests"


def run_broken(percent: int, workers: int, arguments: list[str]) -> Round:
    """Run the suite with a share of its tests broken."""
    os.environ[VARIABLE] = str(percent)
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    return run_suite(workers, ["-p", PLUGIN, *arguments])


def main() -> None:
    """Run the suite for each share, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--percent", type=int, nargs="+", default=[0, 20, 50])
    chosen, arguments = parser.parse_known_args()
    runs: dict[int, Round] = {}
    for percent in chosen.percent:
        runs[percent] = run_broken(percent, chosen.workers, arguments)
        print(f"{percent} % of the tests broken: {runs[percent].wall:.1f} s", file=sys.stderr, flush=True)
    first = runs[chosen.percent[0]]
    print(f"{first.parameters} parameters, {chosen.workers} workers")
    print(f"{'tests broken':>12} {'failed':>8} {'seconds':>8} {'ratio':>8}")
    for percent, run in runs.items():
        print(f"{percent:>10} % {len(run.failed):8} {run.wall:8.1f} {run.wall / first.wall:8.2f}")


if __name__ == "__main__":
    main()
