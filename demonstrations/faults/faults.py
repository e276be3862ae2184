"""Runs the suite while something breaks, and tells how that ended.

    python demonstrations/faults/faults.py [--rows FOLDER] [FAULT ...] > docs/faults.md

Each fault comes while two workers ask some cases of an embedded mesh. A run may end in right results or in an error
that says what happened; it must never say that the mesh does not hold, and it must leave nothing behind, unless it was
killed: then `istio-egress clean` must find all of it. Rows are kept in FOLDER, and a fault whose row is there
is not tried again.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from injected import FAULTS, Fault, Stage
from snapshot import snapshot
from strict_clusters import STRICT_CLUSTERS
from way_to_api import WayToApi

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.run_lease import leftover_runs
from pytest_istio_egress.embedded import ClusterSpec, down, up

CLUSTER = "faults"
CASES = (
    "conformance/timeouts", "conformance/registry_only/test_unlisted_hosts.py",
    "conformance/egress_gateway/test_two_hops.py",
    "conformance/kubernetes_services/test_endpoints.py", "conformance/service_entry/test_http_host.py",
)  # fmt: skip
SLOW = 2
"""A fault shall be told from a machine that is busy with others."""
RESULTS_BEFORE = 3
"""So many results have come in when the fault comes."""
WRONG = "**wrong:**"
GONE_WITHIN = 180.0
"""Seconds until a cluster has nothing left of a run: a killed one's lease runs out first."""


@dataclass(frozen=True)
class Seen:
    """How a run with a fault ended; `wrong` says what was not as it has to be, nothing if all was."""

    fault: Fault
    exit: int
    results: Counter[str]
    said: str
    seconds: float
    wrong: tuple[str, ...]

    def row(self) -> str:
        """Return it as a line of the table."""
        results = ", ".join(f"{count} {name}" for name, count in sorted(self.results.items())) or "none"
        verdict = f"{WRONG} " + "; ".join(self.wrong) if self.wrong else "right"
        said = self.said.replace("|", "\\|") or "-"
        return (
            f"| {self.fault.name} | {self.fault.how} | {self.fault.expected} | {self.exit} | {results} | {said} "
            f"| {self.seconds:.0f} s | {verdict} |"
        )


def try_fault(fault: Fault, api: Api, way: WayToApi) -> Seen:
    """Run the cases with one fault, and look at what is left."""
    before = snapshot(api)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as mending:
        work = Path(folder)
        stage = Stage(CLUSTER, api, way, work, mending)
        command = [
            sys.executable, "-m", "pytest", "--istio-egress", "-n", "2", "-v", "-p", "no:cacheprovider",
            f"--istio-egress-timeout-scale={SLOW}", "--istio-egress-kubeconfig", str(way.kubeconfig),
            f"--junitxml={work / 'junit.xml'}",
            *fault.prepare(stage), *CASES,
        ]  # fmt: skip
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=work, env=environment(fault, work)
        ) as run:
            stage.process = run
            output = follow(run, fault, stage)
        seconds = time.monotonic() - began
        results = outcomes(work / "junit.xml")
        sys.stderr.write("".join(output[-60:]))
    wrong = list(amiss(fault, run.returncode, results))
    if fault.killed:
        wrong += cleaned_up(stage.run, way)
    wrong += left_behind(api, before)
    return Seen(fault, run.returncode, results, last_word(output).replace(f"{work}/", ""), seconds, tuple(wrong))


def environment(fault: Fault, folder: Path) -> dict[str, str]:
    """Return the environment of the run; libfaketime reads what time it is from a file, and leaves waits alone."""
    if not fault.library:
        return dict(os.environ)
    found = next(Path("/usr/lib").glob(fault.library), None)
    if found is None:
        raise SystemExit(f"{fault.name}: there is no {fault.library} below /usr/lib; apt-get install libfaketime")
    clock = {"FAKETIME_TIMESTAMP_FILE": str(folder / "clock"), "FAKETIME_NO_CACHE": "1"}
    return {**os.environ, "LD_PRELOAD": str(found), **clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def follow(run: subprocess.Popen[str], fault: Fault, stage: Stage) -> list[str]:
    """Read what a run prints; the fault comes after some results."""
    assert run.stdout is not None
    output, results, injected = [], 0, False
    for line in run.stdout:
        output.append(line)
        if found := re.search(r", run (\w{6})", line):
            stage.run = found[1]
        results += bool(re.search(r"\] (PASSED|FAILED|ERROR) ", line))
        if results >= RESULTS_BEFORE and not injected:
            injected = True
            fault.inject(stage)
    return output


def outcomes(results: Path) -> Counter[str]:
    """Count how the cases ended; a killed run has written nothing."""
    found: Counter[str] = Counter()
    if results.exists():
        for case in ElementTree.parse(results).iter("testcase"):  # noqa: S314  # pytest has just written it
            tags = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
            found[_named(case, tags[0]) if tags else "hold"] += 1
    return found


def _named(case: ElementTree.Element, tag: str) -> str:
    text = "".join(case.itertext())
    if tag == "skipped":
        return "skipped"
    return "errors" if tag == "error" or "no verdict on the mesh" in text or "crashed" in text else "do not hold"


def amiss(fault: Fault, code: int, results: Counter[str]) -> Iterable[str]:
    """Yield what a run must not end in."""
    if code not in fault.exits:
        yield f"exit {code}"
    if results["do not hold"]:
        yield f"{results['do not hold']} wrong verdicts"


def cleaned_up(run: str, way: WayToApi) -> list[str]:
    """Have `istio-egress clean` show and remove what a killed run left."""
    clean = [sys.executable, "-m", "pytest_istio_egress.cli", "clean", "--kubeconfig", str(way.kubeconfig)]
    shown = subprocess.run([*clean, "--run", run], capture_output=True, text=True, check=False).stdout
    done = subprocess.run([*clean, "--run", run, "--yes"], capture_output=True, text=True, check=False)
    wrong = [] if run in shown else ["`istio-egress clean` does not show what is left"]
    return wrong if done.returncode == 0 else [*wrong, done.stderr.strip()]


def left_behind(api: Api, before: frozenset[str]) -> list[str]:
    """Compare the cluster with what it was, once nothing of any run is there any more."""
    deadline = time.monotonic() + GONE_WITHIN
    while leftover_runs(api) and time.monotonic() < deadline:
        time.sleep(0.5)
    after = snapshot(api)
    changes = [f"left {name}" for name in sorted(after - before)] + [f"lost {name}" for name in sorted(before - after)]
    return changes[:5]


def last_word(output: list[str]) -> str:
    """Return the line in which the run says what went wrong, if it does."""
    telling = re.compile(r"no verdict on the mesh|istio-egress: .*(may still|can't|could not|interrupted)|crashed")
    told = [line.strip() for line in output if telling.search(line)]
    return re.sub(r"\s+", " ", told[-1])[:200] if told else ""


def page(rows: Iterable[str]) -> str:
    """Return the page."""
    head = "| fault | how | expected | exit | results | what the run said | took | |"
    intro = (
        "# What happens when something breaks while the suite runs",
        "",
        f"Made by `python demonstrations/faults/faults.py`: {len(CASES)} modules and areas on the embedded mesh with",
        f"two workers, each fault after {RESULTS_BEFORE} results. Right: no verdict was wrong, the exit code says what",
        "happened, and the cluster was afterwards what it had been before (all objects by name, the mesh's",
        "configuration to the letter).",
        "",
        head,
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    )
    return "\n".join([*intro, *rows]) + "\n"


def main() -> int:
    """Try the faults that were named, or all, print the page; 1 where something was wrong."""
    known = {fault.name: fault for fault in (*FAULTS, *STRICT_CLUSTERS)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, metavar="FOLDER")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=", ".join(known))
    given = parser.parse_args()
    if unknown := set(given.faults) - set(known):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        kept = given.rows or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        rows = {name: kept / f"{name}.md" for name in given.faults or known}
        if left := [known[name] for name, row in rows.items() if not row.exists()]:
            try_all(left, kept)
        found = [row.read_text(encoding="utf-8").strip() for row in rows.values()]
    sys.stdout.write(page(found))
    return int(any(WRONG in row for row in found))


def try_all(faults: Iterable[Fault], kept: Path) -> None:
    """Start the mesh, try these faults, write the row of each."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cluster = up(ClusterSpec(name=CLUSTER), tied_to_caller=True)
    try:
        with WayToApi(cluster.kubeconfig) as way:
            api = Api(cluster.kubeconfig, None)
            for fault in faults:
                (kept / f"{fault.name}.md").write_text(try_fault(fault, api, way).row() + "\n", encoding="utf-8")
    finally:
        down(CLUSTER)


if __name__ == "__main__":
    sys.exit(main())
