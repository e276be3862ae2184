"""The pages docs/noticed.md and docs/ambient_noticed.md: which parameters fail without their manifests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from textwrap import shorten

from pytest_istio_egress.model.case import ISTIOS_OWN_ENVOY, Case
from pytest_istio_egress.model.result_names import SKIPPED
from pytest_istio_egress.suite.discovery import ROOT

CONTROL = "control"
"""How the id of a control begins."""
FAILS, PASSES = "fails", "passes"

HEAD = """\
# Parameters that fail without their manifests

Made by `python demonstrations/noticed/noticed.py -n 2` on embedded clusters. Every test runs without its manifests: no
Istio or Gateway API resource, no NetworkPolicy, no Service that leads out of the mesh, no Istio annotation on a
workload, no change of the mesh configuration. Workloads stay, and Services that select them. Every parameter must then
fail, except controls and those that their test names in `independent_of_manifests`.

The suite runs on a mesh with the outbound traffic policy ALLOW_ANY; what passes there runs again with REGISTRY_ONLY. A
parameter that passes on both does not depend on its manifests. A test that changes something in its course also runs
with its first manifests applied and only the later changes left out. Controls are not required beside a block here, so
each parameter passes or fails by itself.
"""
AMBIENT_HEAD = """\
# Ambient tests: parameters that fail without their manifests

Made by `python demonstrations/noticed/noticed.py --ambient ZTUNNEL -n 2` on embedded clusters with a real ztunnel, as
[noticed.md](noticed.md) is for meshes with sidecars: every test runs without its manifests, and every parameter must
then fail, except controls and those that their test names in `independent_of_manifests`. The fixtures stay: the ambient
client, and the waypoint of its namespace.
"""


@dataclass(frozen=True)
class Kind:
    """One of the pages: how it begins, and the features that its mesh lacks, so that tests are skipped."""

    head: str
    lacking: frozenset[str]


SIDECARS = Kind(HEAD, ISTIOS_OWN_ENVOY | {"dual-stack", "ambient"})
AMBIENT = Kind(AMBIENT_HEAD, ISTIOS_OWN_ENVOY | {"dual-stack"})


@dataclass(frozen=True)
class Finding:
    """The result of one parameter without its manifests."""

    parameter: str
    """pytest's id."""
    outcome: str
    """FAILS, PASSES, or another name of a result."""
    variant: str
    reason: str
    """The first difference, or the text of an error."""


def exemption(parameter: str, cases: Mapping[str, Case]) -> str | None:
    """Return why a parameter may pass without its manifests, as its test states it; None where it must fail."""
    test, _, name = parameter.removesuffix("]").partition("[")
    if name.startswith(CONTROL):
        return "a control"
    independent = cases[test].independent_of_manifests
    return independent.get(name) or independent.get("")


def page(kind: Kind, by_id: Mapping[str, Finding], cases: Mapping[str, Case]) -> str:
    """Return the page."""
    parts = (_summary(by_id, cases), _exempt(by_id, cases), _defects(kind, by_id, cases), _failing(by_id))
    return "\n".join([kind.head, *chain.from_iterable(parts)])


def defects(kind: Kind, by_id: Mapping[str, Finding], cases: Mapping[str, Case]) -> list[Finding]:
    """Return the findings that need a change: neither failed nor exempt."""
    return [
        finding
        for finding in by_id.values()
        if finding.outcome != FAILS
        and not (finding.outcome == PASSES and exemption(finding.parameter, cases))
        and not (finding.outcome == SKIPPED and _lacks(kind, finding.parameter, cases))
    ]


def _lacks(kind: Kind, parameter: str, cases: Mapping[str, Case]) -> bool:
    """Whether the mesh lacks a feature that a test needs, such as Istio's own build of Envoy."""
    return bool(kind.lacking & set(cases[parameter.partition("[")[0]].requires))


def _summary(by_id: Mapping[str, Finding], cases: Mapping[str, Case]) -> Iterator[str]:
    exempt = sum(
        finding.outcome == PASSES and exemption(finding.parameter, cases) is not None for finding in by_id.values()
    )
    counts = Counter(finding.outcome for finding in by_id.values())
    yield "| without its manifests, a parameter ... | parameters |"
    yield "| --- | ---: |"
    yield f"| fails | {counts.pop(FAILS, 0)} |"
    yield f"| passes, as its test states | {exempt} |"
    yield f"| passes, a defect of its test | {counts.pop(PASSES, 0) - exempt} |"
    yield from (f"| {outcome} | {count} |" for outcome, count in sorted(counts.items()))
    yield f"| **all** | {len(by_id)} |"
    yield ""


def _exempt(by_id: Mapping[str, Finding], cases: Mapping[str, Case]) -> Iterator[str]:
    yield "## Parameters that pass without their manifests, and why"
    yield ""
    yield "| parameter | reason |"
    yield "| --- | --- |"
    for parameter, finding in sorted(by_id.items()):
        reason = exemption(parameter, cases)
        if finding.outcome == PASSES and reason:
            yield f"| {_short_id(parameter)} | {reason} |"
    yield ""


def _defects(kind: Kind, by_id: Mapping[str, Finding], cases: Mapping[str, Case]) -> Iterator[str]:
    findings = defects(kind, by_id, cases)
    if findings:
        yield "## Defects"
        yield ""
        yield from (f"- {_short_id(each.parameter)}: {each.outcome}. {_shortened(each.reason)}" for each in findings)
        yield ""


def _failing(by_id: Mapping[str, Finding]) -> Iterator[str]:
    yield "## Parameters that fail without their manifests"
    yield ""
    yield "The second column is the outbound traffic policy of the mesh, or `later changes only` where a test's first"
    yield "manifests were applied and only its later changes left out."
    yield ""
    yield "| parameter | run | first difference |"
    yield "| --- | --- | --- |"
    for parameter, finding in sorted(by_id.items()):
        if finding.outcome == FAILS:
            yield f"| {_short_id(parameter)} | {finding.variant} | {_shortened(finding.reason)} |"


def _short_id(parameter: str) -> str:
    return parameter.removeprefix(f"{ROOT}/").replace("/test_", "/").replace(".py::test_", ": ")


def _shortened(text: str) -> str:
    return shorten(text, 160, placeholder=" ...").replace("|", r"\|")
