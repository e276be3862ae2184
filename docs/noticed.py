"""Takes every case's rules away and lists which cases notice: python docs/noticed.py -n 2 > docs/noticed.md

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
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_istio_egress.case import Case
from pytest_istio_egress.embedded import ClusterSpec, down, up
from pytest_istio_egress.report.reading import read_report
from pytest_istio_egress.report.results import DOES_NOT_HOLD, HOLDS, Result
from pytest_istio_egress.suite import ROOT, shipped_cases

CONFORMANCE = Path(__file__).parents[1] / ROOT
CONTROL = "control"
"""How the case of a control begins."""
NOTICED, UNMOVED = "noticed", "not noticed"

HEAD = """\
# Which cases notice when their rules are taken away

Made by `python docs/noticed.py -n 2` on embedded meshes. Nothing of what a case brings along is applied: no resource of
Istio's or of the Gateway API, no network policy, no Service that leads out, no setting for the proxy in a pod's
annotations, no change of the mesh's own configuration. Workloads stay, and Services that select them. Every expectation
is asked so of a mesh that lets everything out (ALLOW_ANY), and what holds there once more of one that lets nothing out
(REGISTRY_ONLY): what does not depend on its rules holds on both. A case that changes something in its course is also
asked with its first state in place, and only that change left out. A block counts alone, whether or not its control has
lost its rule, too.
"""


@dataclass(frozen=True)
class Way:
    """One way to take rules away: the plugin that does it, the mesh that is asked, and how the table calls it."""

    name: str
    plugin: str
    mesh_mode: str


OPEN = Way("lets all out", "without_rules", "ALLOW_ANY")
CLOSED = Way("lets nothing out", "without_rules", "REGISTRY_ONLY")
LATER = Way("its later changes", "without_later_rules", "REGISTRY_ONLY")


@dataclass(frozen=True)
class Finding:
    """What became of one expectation, by pytest's id; `how` is the first difference, or the error's text."""

    case: str
    outcome: str
    way: str
    how: str


def run_suite(way: Way, ids: Iterable[str], name: str, arguments: list[str]) -> list[Result]:
    """Start the mesh, run these cases without their rules, and return what pytest's report says."""
    cluster = up(ClusterSpec(name=name, mesh_mode=way.mesh_mode), tied_to_caller=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.yaml"
            subprocess.run(
                [
                    sys.executable, "-m", "pytest", "--istio-egress", "-p", way.plugin, "-p", "no:cacheprovider",
                    "-q", "--tb=no", "--no-summary", "--istio-egress-allow-mesh-wide",
                    "--istio-egress-kubeconfig", str(cluster.kubeconfig), f"--istio-egress-report={report}",
                    *arguments, *ids,
                ],
                env={**os.environ, "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), *sys.path))},
                stdout=sys.stderr,
                check=False,
            )  # fmt: skip
            return list(read_report(report).results)
    finally:
        down(name)


def findings(results: Iterable[Result], way: Way) -> dict[str, Finding]:
    """Return what each result means."""
    meaning = {DOES_NOT_HOLD: NOTICED, HOLDS: UNMOVED}
    return {
        result.case: Finding(
            result.case,
            meaning.get(result.outcome, result.outcome),
            way.name,
            result.differences[0] if result.differences else result.cause,
        )
        for result in results
    }


def ask(name: str, chosen: list[str], arguments: list[str], later: Iterable[str]) -> dict[str, Finding]:
    """Take the rules away in all ways; the finding that most needs attention counts."""
    found = findings(run_suite(OPEN, chosen, name, arguments), OPEN)
    held = [case for case, finding in found.items() if finding.outcome == UNMOVED]
    if held:
        found |= findings(run_suite(CLOSED, held, name, arguments), CLOSED)
    changing = sorted({case.partition("[")[0] for case in found} & set(later))
    if changing:
        asked = findings(run_suite(LATER, changing, name, arguments), LATER)
        found |= {case: finding for case, finding in asked.items() if found[case].outcome == NOTICED}
    return found


def reason(case: str, cases: Mapping[str, Case]) -> str | None:
    """Return why an expectation need not notice, as the case itself says it; None where it must."""
    name, _, parameter = case.removesuffix("]").partition("[")
    if parameter.startswith(CONTROL):
        return "a control"
    unruled = cases[name].unruled
    return unruled.get(parameter) or unruled.get("")


def page(found: Mapping[str, Finding], cases: Mapping[str, Case]) -> str:
    """Return the page."""
    return "\n".join([HEAD, *_summary(found, cases), *_exempt(found, cases), *_others(found, cases), *_noticed(found)])


def defects(found: Mapping[str, Finding], cases: Mapping[str, Case]) -> list[Finding]:
    """Return what has to be mended: neither noticed nor excused."""
    return [
        finding
        for finding in found.values()
        if finding.outcome != NOTICED and not (finding.outcome == UNMOVED and reason(finding.case, cases))
    ]


def _summary(found: Mapping[str, Finding], cases: Mapping[str, Case]) -> Iterator[str]:
    excused = sum(finding.outcome == UNMOVED and reason(finding.case, cases) is not None for finding in found.values())
    counted = Counter(finding.outcome for finding in found.values())
    yield "| | expectations |"
    yield "| --- | ---: |"
    yield f"| noticed | {counted.pop(NOTICED, 0)} |"
    yield f"| not noticed, and right so | {excused} |"
    yield f"| not noticed, a defect | {counted.pop(UNMOVED, 0) - excused} |"
    yield from (f"| {outcome} | {count} |" for outcome, count in sorted(counted.items()))
    yield f"| **all** | {len(found)} |"
    yield ""


def _exempt(found: Mapping[str, Finding], cases: Mapping[str, Case]) -> Iterator[str]:
    yield "## Not noticed, and why that is right"
    yield ""
    yield "| expectation | why |"
    yield "| --- | --- |"
    for case, finding in sorted(found.items()):
        why = reason(case, cases)
        if finding.outcome == UNMOVED and why:
            yield f"| {_name(case)} | {why} |"
    yield ""


def _others(found: Mapping[str, Finding], cases: Mapping[str, Case]) -> Iterator[str]:
    left = defects(found, cases)
    if left:
        yield "## Neither noticed nor right so"
        yield ""
        yield from (f"- {_name(finding.case)}: {finding.outcome}. {finding.how}" for finding in left)
        yield ""


def _noticed(found: Mapping[str, Finding]) -> Iterator[str]:
    yield "## Noticed"
    yield ""
    yield "What was taken away: all rules, on a mesh that lets all out or one that lets nothing out; or only the later"
    yield "changes of a case that has any."
    yield ""
    yield "| expectation | without rules, on a mesh that ... | first difference |"
    yield "| --- | --- | --- |"
    for case, finding in sorted(found.items()):
        if finding.outcome == NOTICED:
            yield f"| {_name(case)} | {finding.way} | {finding.how.replace('|', chr(92) + '|')} |"


def _name(case: str) -> str:
    return case.removeprefix(f"{ROOT}/").replace("/test_", "/").replace(".py::test_", ": ")


def main() -> int:
    """Run all ways, print the page, tell what has to be mended."""
    parser = argparse.ArgumentParser(
        prog="python docs/noticed.py",
        description=(__doc__ or "").partition("\n\nArguments")[0],
        epilog="All further arguments are pytest's: -n 2, or the ids of cases.",
    )
    parser.add_argument("--name", default="noticed", help="name of the embedded cluster (default: noticed)")
    given, arguments = parser.parse_known_args()
    shipped = list(shipped_cases(CONFORMANCE))
    cases = {each.id: each.case for each in shipped if each.case}
    later = [each.id for each in shipped if {"apply", "mesh"} & set(each.function.__code__.co_names)]
    chosen = [argument for argument in arguments if argument.startswith(ROOT)]
    rest = [argument for argument in arguments if argument not in chosen]
    found = ask(given.name, chosen, rest, later)
    sys.stdout.write(page(found, cases))
    left = defects(found, cases)
    for finding in left:
        sys.stderr.write(f"{finding.case}: {finding.outcome}. {finding.how}\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
