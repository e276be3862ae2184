"""Takes every case's rules away and lists which cases notice.

    python demonstrations/noticed/noticed.py -n 2 > docs/noticed.md

Arguments are pytest's. An outcome that still holds does not depend on the case's rules. That is right for a control
and for traffic that no rule concerns, which the case says in `unruled`; for any other it is a defect of the case.
The exit status is 1 where there is one, or where an error left something open; both are told on stderr.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from noticed_page import NOTICED, UNMOVED, Finding, defects, page

from pytest_istio_egress.embedded import ClusterSpec, EmbeddedError, down, up
from pytest_istio_egress.model.result_names import FAILED, PASSED
from pytest_istio_egress.report.reader import UnreadableError, read_report
from pytest_istio_egress.report.results import Result
from pytest_istio_egress.suite.discovery import ROOT, shipped_cases

CONFORMANCE = Path(__file__).parents[2] / ROOT


@dataclass(frozen=True)
class Way:
    """One way to take rules away: the plugin that does it, the mesh that is asked, and how the table calls it."""

    name: str
    plugin: str
    mesh_mode: str


OPEN = Way("lets all out", "without_rules", "ALLOW_ANY")
CLOSED = Way("lets nothing out", "without_rules", "REGISTRY_ONLY")
LATER = Way("its later changes", "without_later_rules", "REGISTRY_ONLY")


def run_suite(way: Way, cases: Iterable[str], name: str, arguments: list[str], reports: Path) -> list[Result]:
    """Start the mesh, run these cases without their rules, and return what pytest's report says.

    A report that is there already is not made again: a run that was broken off goes on where it was.
    """
    report = reports / f"{way.plugin}-{way.mesh_mode}.yaml"
    if not report.exists():
        try:
            cluster = up(ClusterSpec(name=name, mesh_mode=way.mesh_mode), tied_to_caller=True)
        except EmbeddedError as error:
            raise SystemExit(f"noticed: {error}") from error
        try:
            subprocess.run(
                [
                    sys.executable, "-m", "pytest", "--istio-egress", "-p", way.plugin, "-p", "no:cacheprovider",
                    "-q", "--tb=no", "--no-summary", "--istio-egress-allow-mesh-wide",
                    "--istio-egress-kubeconfig", str(cluster.kubeconfig), f"--istio-egress-report={report}",
                    *arguments, *cases,
                ],
                env={**os.environ, "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), *sys.path))},
                stdout=sys.stderr,
                check=False,
            )  # fmt: skip
        finally:
            down(name)
    try:
        return list(read_report(report).results)
    except UnreadableError as error:
        raise SystemExit(f"noticed: pytest, whose words are above, left no report: {error}") from error


def findings(results: Iterable[Result], way: Way) -> dict[str, Finding]:
    """Return what each result means."""
    meaning = {FAILED: NOTICED, PASSED: UNMOVED}
    return {
        result.id: Finding(
            result.id,
            meaning.get(result.result, result.result),
            way.name,
            result.differences[0] if result.differences else result.cause,
        )
        for result in results
    }


def ask(name: str, chosen: list[str], arguments: list[str], later: Iterable[str], reports: Path) -> dict[str, Finding]:
    """Take the rules away in all ways; the finding that most needs attention counts."""
    found = findings(run_suite(OPEN, chosen, name, arguments, reports), OPEN)
    held = [case for case, finding in found.items() if finding.outcome == UNMOVED]
    if held:
        found |= findings(run_suite(CLOSED, held, name, arguments, reports), CLOSED)
    changing = sorted({case.partition("[")[0] for case in found} & set(later))
    if changing:
        asked = findings(run_suite(LATER, changing, name, arguments, reports), LATER)
        found |= {case: finding for case, finding in asked.items() if found[case].outcome == NOTICED}
    return found


def main() -> int:
    """Run all ways, print the page, tell what has to be mended."""
    parser = argparse.ArgumentParser(
        prog="python demonstrations/noticed/noticed.py",
        description=(__doc__ or "").partition("\n")[0],
        epilog="All further arguments are pytest's: -n 2, or the ids of cases.",
    )
    parser.add_argument("--name", default="noticed", help="name of the embedded cluster (default: noticed)")
    parser.add_argument(
        "--reports", type=Path, metavar="FOLDER", help="keep pytest's reports there, and use those that are there"
    )
    given, arguments = parser.parse_known_args()
    shipped = list(shipped_cases(CONFORMANCE))
    cases = {each.id: each.case for each in shipped if each.case}
    later = [each.id for each in shipped if {"apply", "mesh"} & set(each.function.__code__.co_names)]
    chosen = [argument for argument in arguments if argument.startswith(ROOT)]
    rest = [argument for argument in arguments if argument not in chosen]
    with tempfile.TemporaryDirectory() as folder:
        reports = given.reports or Path(folder)
        reports.mkdir(parents=True, exist_ok=True)
        found = ask(given.name, chosen, rest, later, reports)
    sys.stdout.write(page(found, cases))
    left = defects(found, cases)
    for finding in left:
        sys.stderr.write(f"{finding.case}: {finding.outcome}. {finding.how}\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
