"""Measures how long the embedded cluster takes from cached parts to a ready egress gateway.

Run as root: python benchmarks/cluster_start.py [ROUNDS]. Prints minimum, median and maximum of each step, in seconds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from pytest_istio_egress.embedded import ClusterSpec, EmbeddedError, down, up
from pytest_istio_egress.embedded.progress import Silent


class Clock(Silent):
    """Records the seconds from the start to the end of each step."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self.passed: dict[str, float] = {}

    def finished(self, step: str, how: str) -> None:
        """Record a step, unless it came from the cache."""
        if how != "cached":
            self.passed[step] = time.monotonic() - self._begun


def measure(name: str) -> dict[str, float]:
    """Start a cluster and stop it; return the seconds at which each step ended."""
    clock = Clock()
    cluster = up(ClusterSpec(name=name), clock, tied_to_caller=True)
    clock.finished("ready", "ready")
    if not cluster.started:
        message = f"cluster {name} is already running"
        raise EmbeddedError(message, f"istio-egress cluster down --name {name}")
    begun = time.monotonic()
    down(name)
    clock.passed["stopping it"] = time.monotonic() - begun
    return clock.passed


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=5)
    rounds = parser.parse_args().rounds
    try:
        up(ClusterSpec(name="benchmark"), tied_to_caller=True)  # fills the cache
        down("benchmark")
        results = [measure("benchmark") for _ in range(rounds)]
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{'step':<24}{'min':>8}{'median':>8}{'max':>8}   seconds from the start, {rounds} rounds")
    for step in results[0]:
        seconds = [result[step] for result in results]
        print(f"{step:<24}{min(seconds):>8.2f}{statistics.median(seconds):>8.2f}{max(seconds):>8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
