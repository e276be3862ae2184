"""The page docs/noticed.md: what became of each expectation when its rules were taken away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import shorten

from pytest_istio_egress.model.case import ISTIOS_OWN_ENVOY, Case
from pytest_istio_egress.model.result_names import SKIPPED
from pytest_istio_egress.suite.discovery import ROOT

CONTROL = "control"
"""How the case of a control begins."""
NOTICED, UNMOVED = "noticed", "not noticed"

HEAD = """\
# Which cases notice when their rules are taken away

Made by `python demonstrations/noticed/noticed.py -n 2` on embedded meshes. Nothing of what a case brings along is
applied: no resource of Istio's or of the Gateway API, no network policy, no Service that leads out, no setting for the
proxy in a pod's annotations, no change of the mesh's own configuration. Workloads stay, and Services that select them.
Every expectation is asked so of a mesh that lets everything out (ALLOW_ANY), and what holds there once more of one that
lets nothing out (REGISTRY_ONLY): what does not depend on its rules holds on both. A case that changes something in its
course is also asked with its first state in place, and only that change left out. A block counts alone, whether or not
its control has lost its rule, too.
"""


@dataclass(frozen=True)
class Finding:
    """What became of one expectation, by pytest's id; `how` is the first difference, or the error's text."""

    case: str
    outcome: str
    way: str
    how: str


def reason(case: str, cases: Mapping[str, Case]) -> str | None:
    """Return why an expectation need not notice, as the case itself says it; None where it must."""
    name, _, parameter = case.removesuffix("]").partition("[")
    if parameter.startswith(CONTROL):
        return "a control"
    unruled = cases[name].independent_of_manifests
    return unruled.get(parameter) or unruled.get("")


def page(found: Mapping[str, Finding], cases: Mapping[str, Case]) -> str:
    """Return the page."""
    return "\n".join([HEAD, *_summary(found, cases), *_exempt(found, cases), *_others(found, cases), *_noticed(found)])


def defects(found: Mapping[str, Finding], cases: Mapping[str, Case]) -> list[Finding]:
    """Return what has to be mended: neither noticed nor excused."""
    return [
        finding
        for finding in found.values()
        if finding.outcome != NOTICED
        and not (finding.outcome == UNMOVED and reason(finding.case, cases))
        and not (finding.outcome == SKIPPED and _beyond_upstreams_envoy(finding.case, cases))
    ]


def _beyond_upstreams_envoy(case: str, cases: Mapping[str, Case]) -> bool:
    """Whether a case needs Istio's own build of Envoy, which the embedded mesh doesn't have."""
    return bool(ISTIOS_OWN_ENVOY & set(cases[case.partition("[")[0]].requires))


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
        yield from (f"- {_name(finding.case)}: {finding.outcome}. {_short(finding.how)}" for finding in left)
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
            yield f"| {_name(case)} | {finding.way} | {_short(finding.how)} |"


def _name(case: str) -> str:
    return case.removeprefix(f"{ROOT}/").replace("/test_", "/").replace(".py::test_", ": ")


def _short(text: str) -> str:
    return shorten(text, 160, placeholder=" ...").replace("|", r"\|")
