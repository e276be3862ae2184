"""Runs every benchmark and writes the page: python benchmarks/performance.py [--figures FOLDER] > docs/performance.md

On the mesh of the current kubeconfig context, which nobody else should use meanwhile; as root, for the embedded
cluster's own start. What a benchmark printed is kept as FOLDER/NAME.txt, and what is there is not measured again.
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
# What things cost, and how steady they are

Made by `python benchmarks/performance.py`: each table is what the command above it printed. All of it was measured on
one machine, with the embedded cluster and the suite on the same {cores} cores ({system}), so what a run does to the
cluster and what pytest does compete for them. Where three figures stand in a row they are minimum, median and maximum.
"""


@dataclass(frozen=True)
class Benchmark:
    """One section of the page: what its figures mean, and the command that prints them."""

    name: str
    title: str
    means: str
    command: tuple[str, ...]

    def figures(self, kept: Path) -> str:
        """Return what the command printed, now or when it was run before; its own words go to the standard error."""
        file = kept / f"{self.name}.txt"
        if not file.exists():
            sys.stderr.write(f"benchmarks/performance.py: {self.shown}\n")
            ran = subprocess.run(
                [sys.executable, str(HERE / self.command[0]), *self.command[1:]],
                stdout=subprocess.PIPE,
                text=True,
                check=False,
            )
            if not ran.stdout:
                sys.exit(f"benchmarks/performance.py: {self.shown} printed no figures; its own words are above")
            file.write_text(ran.stdout, encoding="utf-8")
        return file.read_text(encoding="utf-8")

    @property
    def shown(self) -> str:
        """The command as a user would type it."""
        return " ".join(("python", f"benchmarks/{self.command[0]}", *self.command[1:]))


BENCHMARKS = (
    Benchmark(
        "suite",
        "The whole suite, again and again",
        "Every case, mesh-wide ones too, on a ready mesh. A case that does not hold at once is asked again until "
        "`timeouts.converge`; both are counted, and what was found by them stands among the races in ARCHITECTURE.md. "
        "The floor is what probes and changes of configuration themselves took, "
        "shared by the workers. With several workers the two cores are busy all the time: phases that wait for the "
        "other workers' share of them are longer than with one.",
        ("suite.py", "--rounds", "30", "--istio-egress-allow-mesh-wide"),
    ),
    Benchmark(
        "one-worker",
        "The same with one worker",
        "Nothing competes, so each phase takes what it takes. What stands above the floor: a gateway's access log, "
        "which Envoy writes once a second; the 2.5 s after which a line that must not come counts as missing; pods "
        "that cases bring along; 15 s of Istio's own in one case (`late_rule`).",
        ("suite.py", "--workers", "1"),
    ),
    Benchmark(
        "documentation-way",
        "Beside the documents' way",
        "The same cases with one kubectl process per step, and a second's sleep between two looks. Everything is "
        "taken alternately within one run.",
        ("documentation_way.py", "3"),
    ),
    Benchmark(
        "probe",
        "One probe",
        "What a probe costs beyond a bare exec of the same curl, in milliseconds.",
        ("probe.py", "30"),
    ),
    Benchmark(
        "growth",
        "In a mesh that holds much of other people's",
        "1,000 ServiceEntries, 300 Services and 100 namespaces more, visible to every proxy.",
        ("growth.py",),
    ),
    Benchmark(
        "cluster-start",
        "The embedded cluster's start",
        "From cached parts to a ready egress gateway, in seconds.",
        ("cluster_start.py", "5"),
    ),
)


def page(kept: Path) -> Iterator[str]:
    """Yield the page's lines."""
    yield HEAD.format(cores=os.cpu_count(), system=f"{platform.system()} {platform.machine()}")
    for benchmark in BENCHMARKS:
        yield f"## {benchmark.title}\n\n{benchmark.means}\n"
        yield f"```console\n$ {benchmark.shown}\n{benchmark.figures(kept).rstrip()}\n```\n"


def main() -> None:
    """Measure what is missing, print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", type=Path, metavar="FOLDER")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kept = chosen.figures or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        sys.stdout.write("\n".join(page(kept)))


if __name__ == "__main__":
    main()
