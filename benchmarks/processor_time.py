"""Runs the suite once on a ready mesh, and shows which processes of this machine use processors and memory meanwhile.

    python benchmarks/processor_time.py [--workers N] [PYTEST ARGUMENT ...]

Processes are read from /proc four times a second. What ends between two looks (curl, runc) and what the kernel does for
nobody in particular is in the last line but one: the processors' own time without that of the processes seen. Memory is
what processes of a name have in RAM together, at most; pages that they share count for each.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from suite import run_suite

from pytest_istio_egress.plugin.scheduler import WORKERS

PROC = Path("/proc")
PAUSE = 0.25
TICKS = os.sysconf("SC_CLK_TCK")
PAGES_IN_MIB = 2**20 // os.sysconf("SC_PAGE_SIZE")
SHOWN = 10
"""Processes with a line of their own."""


@dataclass
class Processes:
    """Processor seconds of all processes, by pid and start time: the first and the last figure that was seen."""

    first: dict[tuple[str, str], float] = field(default_factory=dict)
    last: dict[tuple[str, str], float] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    memory: Counter[str] = field(default_factory=Counter)
    """The most pages in RAM that the processes of a name had together."""
    most: int = 0
    """The most pages in RAM of all processes."""

    def look(self, *, before_the_run: bool = False) -> None:
        """Read all processes; one that was not there before the run counts from 0."""
        pages: Counter[str] = Counter()
        for folder in PROC.iterdir():
            if not folder.name.isdigit():
                continue
            try:
                head, _, rest = (folder / "stat").read_text().rpartition(")")
            except OSError:
                continue  # it has ended
            fields = rest.split()
            key, seconds = (folder.name, fields[19]), (int(fields[11]) + int(fields[12])) / TICKS
            self.first.setdefault(key, seconds if before_the_run else 0.0)
            self.last[key], self.names[key] = seconds, head.partition("(")[2]
            pages[self.names[key]] += int(fields[21])
        self.memory |= pages  # the greater one of each
        self.most = max(self.most, pages.total())

    def by_name(self) -> Counter[str]:
        """Return the processor seconds since the first look, by the name of the program."""
        used: Counter[str] = Counter()
        for key, seconds in self.last.items():
            used[self.names[key]] += seconds - self.first[key]  # type: ignore[assignment]  # seconds, not a count
        return used


def processors() -> tuple[float, float]:
    """Return the busy and the idle seconds of all processors since the machine started."""
    user, nice, system, idle, waiting, *interrupts = map(int, (PROC / "stat").read_text().split()[1:9])
    return (user + nice + system + sum(interrupts[:2])) / TICKS, (idle + waiting) / TICKS


def main() -> None:
    """Run the suite, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=WORKERS)
    chosen, arguments = parser.parse_known_args()
    processes, ended = Processes(), threading.Event()
    processes.look(before_the_run=True)
    busy, idle = processors()

    def observe() -> None:
        while not ended.wait(PAUSE):
            processes.look()

    observer = threading.Thread(target=observe)
    observer.start()
    try:
        run = run_suite(chosen.workers, arguments)
    finally:
        ended.set()
        observer.join()
    processes.look()
    busy, idle = (now - then for now, then in zip(processors(), (busy, idle), strict=True))
    used = processes.by_name()
    print(f"{run.parameters} parameters, {chosen.workers} workers, {run.wall:.1f} s, {os.cpu_count()} processors")
    print(f"{'':32} {'seconds':>8} {'MiB':>8}")
    print(f"{'all processes':32} {busy:8.1f} {processes.most // PAGES_IN_MIB:8}")
    for name, seconds in used.most_common(SHOWN):
        print(f"  {name:30} {seconds:8.1f} {processes.memory[name] // PAGES_IN_MIB:8}")
    print(f"  {'short-lived, and the kernel':30} {busy - used.total():8.1f}")
    print(f"{'idle':32} {idle:8.1f}")
    sys.exit(bool(run.failed))


if __name__ == "__main__":
    main()
