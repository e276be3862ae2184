"""Runs every test without its manifests and lists which parameters fail, as they should.

    python demonstrations/noticed/noticed.py -n 2 > docs/noticed.md
    python demonstrations/noticed/noticed.py --ambient ZTUNNEL -n 2 > docs/ambient_noticed.md

Arguments are pytest's. A parameter that still passes does not depend on its test's manifests. That is right for a
control, and for a parameter that the test names in `independent_of_manifests`; any other is a defect of the test.
The exit status is 1 where there is a defect or an error; stderr names them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from noticed_page import AMBIENT, FAILS, PASSES, SIDECARS, Finding, defects, page

from demonstrations.command_line import parser_of
from pytest_istio_egress.embedded import ClusterSpec, EmbeddedError, down, up
from pytest_istio_egress.model.result_names import FAILED, PASSED
from pytest_istio_egress.report.reader import UnreadableError, read_report
from pytest_istio_egress.report.results import Result
from pytest_istio_egress.suite.discovery import ROOT, shipped_cases

CONFORMANCE = Path(__file__).parents[2] / ROOT
CHANGES = frozenset({"apply", "remove", "changed_mesh_config"})
"""The methods of `egress` by which a test changes something in its course."""


@dataclass(frozen=True)
class Variant:
    """One way to run the suite without manifests: its name in the table, its plugin, the mesh's outbound policy."""

    name: str
    plugin: str
    mesh_mode: str


OPEN = Variant("ALLOW_ANY", "without_manifests", "ALLOW_ANY")
CLOSED = Variant("REGISTRY_ONLY", "without_manifests", "REGISTRY_ONLY")
LATER = Variant("later changes only", "without_later_manifests", "REGISTRY_ONLY")
AMBIENT_AREA = f"{ROOT}/ambient"


@dataclass(frozen=True)
class Mesh:
    """The embedded cluster of the runs: its name, and the ztunnel binary of an ambient mesh."""

    name: str
    ztunnel: Path | None = None

    def spec(self, mode: str) -> ClusterSpec:
        """Return it with an outbound traffic policy."""
        return ClusterSpec(name=self.name, mesh_mode=mode, ambient=self.ztunnel is not None, ztunnel=self.ztunnel)


def run_suite(variant: Variant, tests: Iterable[str], mesh: Mesh, arguments: list[str], reports: Path) -> list[Result]:
    """Start the mesh, run these tests without their manifests, and return the results of pytest's report.

    A report that exists is used instead of a run: after an interruption, a second call continues.
    """
    report = reports / f"{variant.plugin}-{variant.mesh_mode}.yaml"
    if not report.exists():
        try:
            cluster = up(mesh.spec(variant.mesh_mode), tied_to_caller=True)
        except EmbeddedError as error:
            raise SystemExit(f"noticed: {error}") from error
        try:
            subprocess.run(
                [*command(variant, cluster.kubeconfig, report), *arguments, *tests],
                env={**os.environ, "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), *sys.path))},
                stdout=sys.stderr,
                check=False,
            )
        finally:
            down(mesh.name)
    try:
        return list(read_report(report).results)
    except UnreadableError as error:
        raise SystemExit(f"noticed: pytest, whose output is above, wrote no report: {error}") from error


def command(variant: Variant, kubeconfig: Path, report: Path) -> list[str]:
    """Return the command of a run.

    The override makes tests run that require a mesh of REGISTRY_ONLY: that policy is one of the rules left out.
    """
    return [
        sys.executable, "-m", "pytest", "--istio-egress", "-p", variant.plugin, "-p", "no:cacheprovider",
        "-q", "--tb=no", "--no-summary", "--istio-egress-allow-mesh-wide",
        "--istio-egress-fact", "outbound-mode=REGISTRY_ONLY",
        "--istio-egress-kubeconfig", str(kubeconfig), f"--istio-egress-report={report}",
    ]  # fmt: skip


def findings(results: Iterable[Result], variant: Variant) -> dict[str, Finding]:
    """Return the finding of each result, by the parameter's id."""
    meaning = {FAILED: FAILS, PASSED: PASSES}
    return {
        result.id: Finding(
            result.id,
            meaning.get(result.result, result.result),
            variant.name,
            str(result.differences[0]) if result.differences else result.cause,
        )
        for result in results
    }


def run_variants(
    mesh: Mesh, selection: list[str], arguments: list[str], changing: Iterable[str], reports: Path
) -> dict[str, Finding]:
    """Run all variants; of each parameter, return the finding that most needs attention.

    `changing` are the tests that change something in their course.
    """
    by_id = findings(run_suite(OPEN, selection, mesh, arguments, reports), OPEN)
    passed = [parameter for parameter, finding in by_id.items() if finding.outcome == PASSES]
    if passed:
        by_id |= findings(run_suite(CLOSED, passed, mesh, arguments, reports), CLOSED)
    tests = sorted({parameter.partition("[")[0] for parameter in by_id} & set(changing))
    if tests:
        later = findings(run_suite(LATER, tests, mesh, arguments, reports), LATER)
        by_id |= {parameter: finding for parameter, finding in later.items() if by_id[parameter].outcome == FAILS}
    return by_id


def main() -> int:
    """Run all variants, print the page, name the defects."""
    parser = parser_of(__file__, __doc__, "All further arguments are pytest's: -n 2, or the ids of tests.")
    parser.add_argument("--name", default="noticed", help="name of the embedded cluster (default: noticed)")
    parser.add_argument(
        "--reports", type=Path, metavar="FOLDER", help="keep pytest's reports in FOLDER, and use those that exist"
    )
    parser.add_argument(
        "--ambient", type=Path, metavar="ZTUNNEL", help="run the ambient tests, in an ambient mesh with this ztunnel"
    )
    options, arguments = parser.parse_known_args()
    shipped = list(shipped_cases(CONFORMANCE))
    cases = {each.id: each.case for each in shipped if each.case}
    changing = [each.id for each in shipped if CHANGES & set(each.function.__code__.co_names)]
    selection = [argument for argument in arguments if argument.startswith(ROOT)]
    selection = selection or ([AMBIENT_AREA] if options.ambient else [])
    others = [argument for argument in arguments if not argument.startswith(ROOT)]
    with tempfile.TemporaryDirectory() as folder:
        reports = options.reports or Path(folder)
        reports.mkdir(parents=True, exist_ok=True)
        by_id = run_variants(Mesh(options.name, options.ambient), selection, others, changing, reports)
    kind = AMBIENT if options.ambient else SIDECARS
    sys.stdout.write(page(kind, by_id, cases))
    open_findings = defects(kind, by_id, cases)
    for finding in open_findings:
        sys.stderr.write(f"{finding.parameter}: {finding.outcome}. {finding.reason}\n")
    return 1 if open_findings else 0


if __name__ == "__main__":
    sys.exit(main())
