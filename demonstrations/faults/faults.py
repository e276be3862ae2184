"""Injects faults while the suite runs, and reports how each run ended.

    python demonstrations/faults/faults.py [--rows FOLDER] [FAULT ...] > docs/faults.md

Each fault is injected while two workers run some tests on an embedded mesh. Tests may then pass, or end in an error
that says what happened; none may fail, and the run must leave nothing behind, unless it was killed: then
`istio-egress clean` must find everything. Rows are saved in FOLDER; a fault whose row exists is not injected again.
"""

from __future__ import annotations

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

from demonstrations.command_line import check_names, parser_of
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.run_lease import leftover_runs
from pytest_istio_egress.embedded import ClusterSpec, down, up
from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED, SKIPPED

CLUSTER = "faults"
TESTS = (
    "conformance/timeouts", "conformance/outbound_policy/test_registry_only.py",
    "conformance/egress_gateway/test_two_hops.py",
    "conformance/kubernetes_services/test_endpoints.py", "conformance/service_entry/test_http_host.py",
)  # fmt: skip
SLOW = 2
"""Scales the timeouts, so that a busy machine is not mistaken for a fault."""
RESULTS_BEFORE = 3
"""The fault is injected after this number of results."""
WRONG = "**wrong:**"
NO_VERDICT = "test error (cluster problem, not an Istio deviation)"
"""How a failure begins that says nothing about the mesh."""
GONE_WITHIN = 180.0
"""Seconds until everything of a run is removed; the lease of a killed run has to expire first."""


@dataclass(frozen=True)
class RunWithFault:
    """How a run with a fault ended."""

    fault: Fault
    exit: int
    results: Counter[str]
    """The number of parameters by result."""
    message: str
    """The line in which the run says what happened, empty without one."""
    seconds: float
    wrong: tuple[str, ...]
    """What must not have happened; empty where the run ended as it has to."""

    def row(self) -> str:
        """Return a row of the table."""
        results = ", ".join(f"{count} {name}" for name, count in sorted(self.results.items())) or "none"
        assessment = f"{WRONG} " + "; ".join(self.wrong) if self.wrong else "right"
        message = self.message.replace("|", "\\|") or "-"
        return (
            f"| {self.fault.name} | {self.fault.how} | {self.fault.expected} | {self.exit} | {results} | {message} "
            f"| {self.seconds:.0f} s | {assessment} |"
        )


def try_fault(fault: Fault, api: Api, way: WayToApi) -> RunWithFault:
    """Run the tests with one fault, then compare the cluster with its state before."""
    before = snapshot(api)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as cleanup:
        work = Path(folder)
        stage = Stage(CLUSTER, api, way, work, cleanup)
        command = [
            sys.executable, "-m", "pytest", "--istio-egress", "-n", "2", "-v", "-p", "no:cacheprovider",
            f"--istio-egress-timeout-scale={SLOW}", "--istio-egress-kubeconfig", str(way.kubeconfig),
            f"--junitxml={work / 'junit.xml'}",
            *fault.prepare(stage), *TESTS,
        ]  # fmt: skip
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=work, env=environment(fault, work)
        ) as run:
            stage.process = run
            output = follow(run, fault, stage)
        seconds = time.monotonic() - began
        results = results_in(work / "junit.xml")
        sys.stderr.write("".join(output[-60:]))
    wrong = list(violations(fault, run.returncode, results))
    if fault.killed:
        wrong += clean_up(stage.run, way)
    wrong += left_behind(api, before)
    message = last_message(output).replace(f"{work}/", "")
    return RunWithFault(fault, run.returncode, results, message, seconds, tuple(wrong))


def environment(fault: Fault, folder: Path) -> dict[str, str]:
    """Return the environment of the run; libfaketime reads the time from a file and does not affect waits."""
    if not fault.library:
        return dict(os.environ)
    library = next(Path("/usr/lib").glob(fault.library), None)
    if library is None:
        raise SystemExit(f"{fault.name}: no {fault.library} below /usr/lib (hint: apt-get install libfaketime)")
    clock = {"FAKETIME_TIMESTAMP_FILE": str(folder / "clock"), "FAKETIME_NO_CACHE": "1"}
    return {**os.environ, "LD_PRELOAD": str(library), **clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def follow(run: subprocess.Popen[str], fault: Fault, stage: Stage) -> list[str]:
    """Return the output of a run; inject the fault after RESULTS_BEFORE results."""
    assert run.stdout is not None
    output, results, injected = [], 0, False
    for line in run.stdout:
        output.append(line)
        if header := re.search(r", run (\w{6})", line):
            stage.run = header[1]
        results += bool(re.search(r"\] (PASSED|FAILED|ERROR) ", line))
        if results >= RESULTS_BEFORE and not injected:
            injected = True
            fault.inject(stage)
    return output


def results_in(junit_xml: Path) -> Counter[str]:
    """Count the parameters by result; a killed run has written no file."""
    counts: Counter[str] = Counter()
    if junit_xml.exists():
        for parameter in ElementTree.parse(junit_xml).iter("testcase"):  # noqa: S314  # pytest has just written it
            tags = [child.tag for child in parameter if child.tag in ("failure", "error", "skipped")]
            counts[_result(parameter, tags[0]) if tags else PASSED] += 1
    return counts


def _result(parameter: ElementTree.Element, tag: str) -> str:
    text = "".join(parameter.itertext())
    if tag == "skipped":
        return SKIPPED
    return ERROR if tag == "error" or NO_VERDICT in text or "crashed" in text else FAILED


def violations(fault: Fault, code: int, results: Counter[str]) -> Iterable[str]:
    """Yield what must not happen in a run with this fault."""
    if code not in fault.exits:
        yield f"exit {code}"
    if results[FAILED]:
        yield f"{results[FAILED]} wrong verdicts"


def clean_up(run: str, way: WayToApi) -> list[str]:
    """Let `istio-egress clean` list and remove what a killed run left; return what went wrong."""
    clean = [sys.executable, "-m", "pytest_istio_egress.cli", "clean", "--kubeconfig", str(way.kubeconfig)]
    shown = subprocess.run([*clean, "--run", run], capture_output=True, text=True, check=False).stdout
    done = subprocess.run([*clean, "--run", run, "--yes"], capture_output=True, text=True, check=False)
    wrong = [] if run in shown else ["`istio-egress clean` does not list what is left"]
    return wrong if done.returncode == 0 else [*wrong, done.stderr.strip()]


def left_behind(api: Api, before: frozenset[str]) -> list[str]:
    """Return the differences between the cluster now, once all runs are removed, and its state before."""
    deadline = time.monotonic() + GONE_WITHIN
    while leftover_runs(api) and time.monotonic() < deadline:
        time.sleep(0.5)
    after = snapshot(api)
    changes = [f"left {name}" for name in sorted(after - before)] + [f"lost {name}" for name in sorted(before - after)]
    return changes[:5]


def last_message(output: list[str]) -> str:
    """Return the last line in which the run says what went wrong, shortened; empty without one."""
    pattern = re.compile(rf"{re.escape(NO_VERDICT)}|istio-egress: .*(may still|cannot|could not|interrupted)|crashed")
    messages = [line.strip() for line in output if pattern.search(line)]
    return re.sub(r"\s+", " ", messages[-1])[:200] if messages else ""


def page(rows: Iterable[str]) -> str:
    """Return the page."""
    head = "| fault | how | expected | exit | results | message of the run | took | |"
    intro = (
        "# Faults during a run",
        "",
        f"Made by `python demonstrations/faults/faults.py`: {len(TESTS)} modules and areas on the embedded mesh with",
        f"two workers; each fault is injected after {RESULTS_BEFORE} results. `right` means: no verdict is wrong, the",
        "exit code is the documented one, and the cluster is as it was before the run (all objects by name, the mesh",
        "configuration byte by byte).",
        "",
        head,
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    )
    return "\n".join([*intro, *rows]) + "\n"


def main() -> int:
    """Inject the named faults, or all; print the page; return 1 if a run ended wrongly."""
    faults = {fault.name: fault for fault in (*FAULTS, *STRICT_CLUSTERS)}
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--rows", type=Path, metavar="FOLDER")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=", ".join(faults))
    given = parser.parse_args()
    check_names(parser, given.faults, faults)
    with tempfile.TemporaryDirectory() as folder:
        saved = given.rows or Path(folder)
        saved.mkdir(parents=True, exist_ok=True)
        files = {name: saved / f"{name}.md" for name in given.faults or faults}
        if missing := [faults[name] for name, file in files.items() if not file.exists()]:
            try_all(missing, saved)
        rows = [file.read_text(encoding="utf-8").strip() for file in files.values()]
    sys.stdout.write(page(rows))
    return int(any(WRONG in row for row in rows))


def try_all(faults: Iterable[Fault], folder: Path) -> None:
    """Start the mesh, inject these faults one after the other, write a file with the row of each."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cluster = up(ClusterSpec(name=CLUSTER), tied_to_caller=True)
    try:
        with WayToApi(cluster.kubeconfig) as way:
            api = Api(cluster.kubeconfig, None)
            for fault in faults:
                (folder / f"{fault.name}.md").write_text(try_fault(fault, api, way).row() + "\n", encoding="utf-8")
    finally:
        down(CLUSTER)


if __name__ == "__main__":
    sys.exit(main())
