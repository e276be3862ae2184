"""Tests rules that users of public reports would have written, with their mistakes and without, and judges the causes.

    python demonstrations/field_reports/field_reports.py > docs/field_reports.md

Every entry of reports.yaml and further_mistakes.yaml is a mistake from a public report, or of the same kind, rewritten
for the namespace `payments` and plain servers. Its rule (in rules/) is tested twice on an embedded cluster: with the
mistake, and mended. The exit status is 1 where a sentence is not the true cause, or a mended rule does not pass.
`--only ID,ID` tests some entries, `--cluster NAME` uses an embedded cluster that runs already; `--results FOLDER` keeps
the results there, and tests only what is missing in it, so that an interrupted run can be continued.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis import ANALYSES, ISTIOCTL, Message, cell, messages
from certificates import FOLDER, make, server_secret
from field_mesh import STATE
from mistakes import BROKEN, MENDED, STATES, Report, load

from demonstrations.cluster_tools import kubectl, run
from demonstrations.command_line import parser_of
from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, down, up
from pytest_istio_egress.model.result_names import FAILED, PASSED
from pytest_istio_egress.report.reader import read_report
from pytest_istio_egress.report.results import Result

HERE = Path(__file__).parent
CLUSTER = "field-reports"


@dataclass(frozen=True)
class Outcome:
    """What a rule said of one report in one state: whether all its parameters passed, and the first cause."""

    passed: bool
    sentence: str


def outcome_of(report: Report, results: Sequence[Result]) -> Outcome | None:
    """Return the outcome of a report's rule; None where it was not tested."""
    own = [result for result in results if f"test_{report.id}" in result.id.partition("[")[0].split("::")]
    if not own:
        return None
    failed = [result for result in own if result.result == FAILED]
    others = [result for result in own if result.result not in (PASSED, FAILED)]
    sentence = next((result.cause for result in [*failed, *others]), "")
    return Outcome(all(result.result == PASSED for result in own), sentence)


def prepare(cluster: EmbeddedCluster, folder: Path) -> None:
    """Apply the servers, and wait for their pods."""
    make(folder)
    os.environ[FOLDER] = str(folder)
    run(cluster, "kubectl", "create", "namespace", "partner-net")  # it may be there already
    kubectl(cluster, "apply", "-f", "-", stdin=json.dumps(server_secret()))
    # Servers of an earlier run on the same cluster have read other certificates.
    kubectl(cluster, "delete", "pod", "-n", "partner-net", "--all", "--wait")
    kubectl(cluster, "apply", "-f", str(HERE / "servers.yaml"))
    for namespace in ("partner-net", "platform", "payments"):
        kubectl(cluster, "wait", "-n", namespace, "--for=condition=Ready", "pod", "--all", "--timeout=180s")


def run_rules(cluster: EmbeddedCluster, state: str, reports: Sequence[Report], folder: Path) -> list[Result]:
    """Test the rules of some reports in one state; results that are in the folder already are not tested again."""
    known = [result for file in sorted(folder.glob(f"{state}-*.yaml")) for result in read_report(file).results]
    known = [result for result in known if result.result in (PASSED, FAILED)]
    missing = [report for report in reports if outcome_of(report, known) is None]
    if not missing:
        return known
    written = folder / f"{state}-{len(list(folder.glob(f'{state}-*.yaml')))}.yaml"
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "--istio-egress", "-p", "field_mesh", "-p", "no:cacheprovider",
            "--istio-egress-kubeconfig", str(cluster.kubeconfig), "--istio-egress-report", str(written),
            *(f"{report.rules}::test_{report.id}" for report in missing),
        ],
        cwd=HERE / "rules",
        env={
            **_environment(),
            "PYTHONPATH": str(HERE),
            STATE: state,
            ANALYSES: str(folder.resolve()),
            ISTIOCTL: f"{cluster.binaries / 'istioctl'} --kubeconfig {cluster.kubeconfig}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )  # fmt: skip
    sys.stderr.write(done.stdout)
    return [*known, *(read_report(written).results if written.exists() else ())]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "ISTIO_EGRESS_"))}


def page(
    reports: Sequence[Report],
    outcomes: Mapping[tuple[str, str], Outcome | None],
    analyses: Mapping[str, Sequence[Message] | None],
) -> str:
    """Return the page."""
    found = [set(each) for each in analyses.values() if each is not None]
    of_all = frozenset(set.intersection(*found)) if found else frozenset()
    rows = [_row(report, outcomes, cell(report, analyses.get(report.id), of_all)) for report in reports]
    analyzed = sum(1 for row in rows if "| names it: " in row)
    counted = [report for report in reports if not report.passes]
    judged = [_judgement(report, outcomes.get((report.id, BROKEN))) for report in counted]
    mended = sum(1 for report in reports if (seen := outcomes.get((report.id, MENDED))) and seen.passed)
    return "\n".join(
        [
            "# Mistakes from public reports, and the causes that are diagnosed",
            "",
            "Each row is a mistake that somebody reported publicly, or a mistake of the same kind, rewritten as a rule",
            "of a user's own (namespace `payments`, plain servers outside the mesh), and the sentence of the failure.",
            "Made by `python demonstrations/field_reports/field_reports.py` from `reports.yaml` and",
            "`further_mistakes.yaml` beside it.",
            "",
            f"{judged.count('true')} of {len(counted)} sentences name the root cause; {mended} of {len(reports)} rules",
            f"pass once the mistake is mended. `istioctl analyze` names {analyzed} of the mistakes.",
            "",
            "| report | mistake | sentence | judgement | mended | `istioctl analyze` |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _judgement(report: Report, seen: Outcome | None) -> str:
    if seen is None:
        return "not run"
    if seen.passed:
        return "passes" if report.passes else "passes, though the mistake is there"
    return report.judgement(seen.sentence)


def _row(report: Report, outcomes: Mapping[tuple[str, str], Outcome | None], analyzed: str) -> str:
    broken, mended = (outcomes.get((report.id, state)) for state in STATES)
    cells = (
        report.report,
        report.mistake,
        (broken.sentence if broken else "") or report.passes or "-",
        _judgement(report, broken),
        "not run" if mended is None else "passes" if mended.passed else f"**fails**: {mended.sentence}",
        analyzed,
    )
    return "| " + " | ".join(each.replace("|", "\\|").replace("\n", " ") for each in cells) + " |"


def defects(reports: Sequence[Report], outcomes: Mapping[tuple[str, str], Outcome | None]) -> list[str]:
    """Return a line for each report whose sentence is not the true cause, or whose mended rule does not pass."""
    lines = []
    for report in reports:
        broken, mended = (outcomes.get((report.id, state)) for state in STATES)
        judgement = _judgement(report, broken)
        if judgement not in ("true", "passes"):
            lines.append(f"{report.id}: {judgement}: {broken.sentence if broken else ''}")
        if mended is None or not mended.passed:
            lines.append(f"{report.id}: mended: {mended.sentence if mended else 'not run'}")
    return lines


def main() -> int:
    """Start a cluster, test the rules in both states, print the page."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--only", default="", help="ids of entries, with commas")
    parser.add_argument("--cluster", default="", help="an embedded cluster that runs already")
    parser.add_argument("--results", default="", help="a folder for the results")
    chosen = parser.parse_args()
    reports = [each for each in load() if not chosen.only or each.id in chosen.only.split(",")]
    name = chosen.cluster or CLUSTER
    cluster = up(ClusterSpec(name=name), tied_to_caller=not chosen.cluster)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(chosen.results or temporary)
            prepare(cluster, Path(temporary))
            outcomes = {
                (report.id, state): outcome_of(report, results)
                for state in STATES
                for results in [run_rules(cluster, state, reports, folder)]
                for report in reports
            }
            analyses = {report.id: messages(report, folder) for report in reports}
    finally:
        if not chosen.cluster:
            down(name)
    sys.stdout.write(page(reports, outcomes, analyses))
    found = defects(reports, outcomes)
    sys.stderr.write("".join(f"{line}\n" for line in found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
