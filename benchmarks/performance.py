"""Runs every benchmark and writes the page.

    python benchmarks/performance.py [--figures FOLDER] [--beside CHECKOUT] > docs/performance.md

It uses the mesh of the current kubeconfig context, which should be idle otherwise, and needs root to start the embedded
cluster. The output of each benchmark is saved as FOLDER/NAME.txt; a benchmark whose file exists is not run again.

With another checkout, an older one for example, each benchmark that it has is run there as well, right after: the same
figure of the same hour. The checkout needs the environment that its `./bootstrap` makes.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

HEAD = """\
# Performance and flakiness

Made by `python benchmarks/performance.py`: each block is the output of the command above it. Everything was measured on
one machine: the embedded cluster and pytest share its {cores} cores ({system}) and compete for them. Three figures in a
row are minimum, median and maximum.
"""


@dataclass(frozen=True)
class Benchmark:
    """One section of the page: the meaning of its figures, and the command that prints them."""

    name: str
    title: str
    means: str
    command: tuple[str, ...]
    measures_checkouts: bool = False
    """Whether the command itself measures another checkout, by --checkout; else it is run there."""
    only_here: bool = False
    """Whether it is not run in another checkout."""

    def figures(self, kept: Path) -> str:
        """Return the output of the command, from now or from an earlier run; its standard error is shown."""
        figures = self._output(kept / f"{self.name}.txt", sys.executable, HERE)
        if not figures:
            sys.exit(f"benchmarks/performance.py: {self.shown} printed no figures; see its output above")
        return figures

    def figures_beside(self, kept: Path, checkout: Path) -> str:
        """Return the output of the command in another checkout, empty where it is missing there, or fails."""
        file, folder = kept / f"{self.name}-beside.txt", checkout / "benchmarks"
        if self.measures_checkouts:
            return self._output(file, str(checkout / ".venv/bin/python"), HERE, "--checkout", str(checkout))
        if self.only_here or not (folder / self.command[0]).exists():
            return ""
        return self._output(file, str(checkout / ".venv/bin/python"), folder)

    def _output(self, file: Path, python: str, folder: Path, *more: str) -> str:
        if not file.exists():
            command = [python, str(folder / self.command[0]), *self.command[1:], *more]
            sys.stderr.write(f"benchmarks/performance.py: {' '.join(command)}\n")
            ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=folder.parent)
            if not ran.stdout:
                return ""  # the next call runs it again
            file.write_text(ran.stdout, encoding="utf-8")
        return file.read_text(encoding="utf-8")

    @property
    def shown(self) -> str:
        """The command as a user would type it."""
        return " ".join(("python", f"benchmarks/{self.command[0]}", *self.command[1:]))


BENCHMARKS = (
    Benchmark(
        "suite",
        "The whole suite",
        "All tests, mesh-wide ones included, on a ready mesh. The floor is the time of the probes and of the changes "
        "of configuration, divided by the number of workers. Several workers keep both cores busy, so each phase takes "
        "longer than with one worker.",
        ("suite.py", "--rounds", "3", "--istio-egress-allow-mesh-wide"),
    ),
    Benchmark(
        "flakes",
        "The whole suite, 30 times",
        "A parameter that fails at first is retried until `timeouts.converge`; failures and retries are both counted. "
        "The races that they revealed are listed in ARCHITECTURE.md.",
        ("suite.py", "--rounds", "30", "--istio-egress-allow-mesh-wide"),
        only_here=True,
    ),
    Benchmark(
        "one-worker",
        "The whole suite with one worker",
        "Nothing competes for the cores. The time above the floor: the access logs of gateways, which Envoy writes "
        "once a second; the 2.5 s after which a line that must not appear counts as absent; the pods of single tests; "
        "15 s in one test, in which Envoy waits for a Secret that never comes.",
        ("suite.py", "--workers", "1"),
    ),
    Benchmark(
        "processor-time",
        "Which processes use processors and memory",
        "One run of the whole suite. The workers are `python` processes; the rest is the embedded cluster's.",
        ("processor_time.py", "--istio-egress-allow-mesh-wide"),
    ),
    Benchmark(
        "failing-runs",
        "A run with failures",
        "The suite with a share of its tests set up without their rules.",
        ("failing_runs.py", "--percent", "0", "20"),
    ),
    Benchmark(
        "documentation-way",
        "Compared with kubectl step by step",
        "The same tests with one kubectl process per step, polling once a second. The two alternate within one run.",
        ("documentation_way.py", "3"),
    ),
    Benchmark(
        "probe",
        "One probe",
        "The cost of a probe compared with a plain exec of the same curl, in milliseconds.",
        ("probe.py", "30"),
    ),
    Benchmark(
        "growth",
        "In a mesh with many other resources",
        "With 1,000 more ServiceEntries, 300 more Services and 100 more namespaces, visible to every proxy.",
        ("growth.py",),
    ),
    Benchmark(
        "cluster-start",
        "Start of the embedded cluster",
        "From cached components to a ready egress gateway, in seconds.",
        ("cluster_start.py", "5"),
        only_here=True,  # another checkout would have to build its own components first
    ),
    Benchmark(
        "first-result",
        "The first result",
        "README's first command with nothing cached, until its first verdict.",
        ("first_result.py",),
        measures_checkouts=True,
    ),
)


def page(kept: Path, checkout: Path | None) -> Iterator[str]:
    """Yield the page's lines."""
    yield HEAD.format(cores=os.cpu_count(), system=f"{platform.system()} {platform.machine()}")
    for benchmark in BENCHMARKS:
        yield f"## {benchmark.title}\n\n{benchmark.means}\n"
        yield f"```console\n$ {benchmark.shown}\n{benchmark.figures(kept).rstrip()}\n```\n"
        if checkout and (beside := benchmark.figures_beside(kept, checkout)):
            yield f"The same at {_commit(checkout)}:\n\n```text\n{beside.rstrip()}\n```\n"


def _commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def main() -> None:
    """Run the benchmarks whose output is missing, and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="keep the output of each benchmark here")
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="run each benchmark in this checkout as well")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kept = chosen.figures or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        sys.stdout.write("\n".join(page(kept, chosen.beside.absolute() if chosen.beside else None)))


if __name__ == "__main__":
    main()
