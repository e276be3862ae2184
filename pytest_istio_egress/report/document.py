"""`conformance-report.yaml`: what a run found out, for programs; conformance_report.schema.json says its shape."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import yaml

from pytest_istio_egress.model.mesh_facts import Fact
from pytest_istio_egress.model.result_names import ERROR, RESULTS, SKIPPED
from pytest_istio_egress.redaction import redacted
from pytest_istio_egress.report.results import Result

FORMAT = "istio-egress-conformance-report"
FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)
"""Version 1 is version 2 without `probes`, `forward_proxy`, `evidence`, and what a run says of its settings and end."""
HEAD = "# What pytest --istio-egress found out; two of these are compared by `istio-egress compare`.\n"


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What a run was: which suite asked which cluster how. `features` maps a feature to why it is missing, else None;
    `facts` are those of the mesh, by the names of mesh_facts.py.

    `began` is an ISO 8601 time, `seconds` the run's length; `complete` is False where it was stopped before its end,
    and `stopped` says why. `arguments` are pytest's as they were typed, `environment` is what else decided what
    pytest ran with, `options` are the options that say which cluster is asked how, wherever they were set. `tools` maps
    a program that the run was made with to its version.
    """

    suite: str
    target: str = ""
    context: str = ""
    kubernetes: str = ""
    istio: str = ""
    outbound_mode: str = ""
    gateway: str = ""
    notes: tuple[str, ...] = ()
    features: Mapping[str, str | None] = field(default_factory=dict)
    facts: Mapping[str, Fact] = field(default_factory=dict)
    run: str = ""
    began: str = ""
    seconds: float = 0.0
    complete: bool = True
    stopped: str = ""
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)

    @property
    def reproduce(self) -> str:
        """The command as it was typed, with the variables that decided something."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in sorted(self.environment.items())]
        return " ".join([*variables, shlex.join(["pytest", *self.arguments])])

    def command(self, *cases: str) -> str:
        """Return the command that asks only these cases, of the same cluster in the same way."""
        return shlex.join(["pytest", "--istio-egress", *self.options, *cases])


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run and what became of each case."""

    info: RunInfo
    results: Sequence[Result]

    @property
    def envoy(self) -> list[str]:
        """The versions of the clients' Envoys; one, unless proxies differ."""
        return sorted({result.envoy_version for result in self.results if result.envoy_version})

    def count(self, outcome: str) -> int:
        """How many cases ended so."""
        return sum(result.result == outcome for result in self.results)


def report_text(run: Run) -> str:
    """Return the file: the same bytes for the same results, in whatever order they arrived."""
    document = redacted(document_of(run))
    return HEAD + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**16)


def document_of(run: Run) -> dict[str, Any]:
    """Return the report as mappings and lists. `totals` comes last: a file that was cut lacks them."""
    about = run.info
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "suite": {"name": "pytest-istio-egress", "version": about.suite},
        "run": {
            "id": about.run,
            "began": about.began,
            "seconds": round(about.seconds, 1),
            "complete": about.complete,
            **({"stopped": about.stopped} if about.stopped else {}),
            "reproduce": about.reproduce,
            "asking": list(about.options),
            "tools": dict(sorted(about.tools.items())),
        },
        "target": {"kind": about.target, "context": about.context, "notes": list(about.notes)},
        "versions": {"kubernetes": about.kubernetes, "istio": about.istio, "envoy": run.envoy},
        "mesh": {"outbound_mode": about.outbound_mode, "egress_gateway": about.gateway, "facts": _facts(about)},
        "features": {
            name: {"found": True} if why is None else {"found": False, "reason": why}
            for name, why in sorted(about.features.items())
        },
        "behaviours": _behaviours(run),
        "totals": {"cases": len(run.results), **{outcome: run.count(outcome) for outcome in reversed(RESULTS)}},
    }


def _facts(about: RunInfo) -> dict[str, Any]:
    return {
        name: {"value": known.value, "origin": known.origin} | ({"why": known.why} if known.why else {})
        for name, known in about.facts.items()
    }


def _behaviours(run: Run) -> list[dict[str, Any]]:
    ordered = sorted(run.results, key=lambda result: (result.area, result.test, result.id))
    groups = groupby(ordered, key=lambda result: (result.area, result.test))
    return [_behaviour(name, list(cases), run.info) for (_, name), cases in groups]


def _behaviour(name: str, cases: list[Result], about: RunInfo) -> dict[str, Any]:
    return {
        "id": name,
        "area": cases[0].area,
        "says": next((case.summary for case in cases if case.summary), ""),
        "source": next((case.source for case in cases if case.source), ""),
        "outcome": min((case.result for case in cases), key=RESULTS.index),
        "cases": [_case(case, about) for case in cases],
    }


def _case(case: Result, about: RunInfo) -> dict[str, Any]:
    """Return one case; what nothing is known of is left out."""
    described: dict[str, Any] = {"id": case.id, "outcome": case.result}
    if case.result == SKIPPED:
        described["reason"] = case.cause
    elif case.cause:
        described["error" if case.result == ERROR else "cause"] = case.cause
    texts = {"known": case.known_deviation, "expired": case.expired_deviation, "evidence": case.evidence}
    described |= {name: text for name, text in texts.items() if text}
    described |= _asked(case)
    if case.probes:
        # Each by itself; what stands above is the worst of them.
        described["probes"] = [
            {"outcome": probe.result} | ({"cause": probe.cause} if probe.cause else {}) | _asked(probe)
            for probe in case.probes
        ]
    described["reproduce"] = about.command(case.id)
    return described


def _asked(case: Result) -> dict[str, Any]:
    """Return what was sent and what was seen of it."""
    texts = {"client": case.client, "probe": case.probe, "expected": case.expected}
    described: dict[str, Any] = {name: text for name, text in texts.items() if text}
    if case.exit is not None:
        described["seen"] = {
            "status": case.status or None,
            "exit": case.exit,
            "seconds": round(case.seconds, 3),
            "attempts": case.attempts,
        }
    said = {
        "sidecar": case.sidecar,
        "gateway": case.gateway,
        "forward_proxy": case.forward_proxy,
        "outside": case.server_saw,
        "envoy_version": case.envoy_version,
    }
    described |= {name: text for name, text in said.items() if text}
    lists = {"answer_headers": case.response_headers, "differences": case.differences}
    return described | {name: list(found) for name, found in lists.items() if found}


class _Dumper(yaml.SafeDumper):
    """Writes no anchors: a person shall read each case by itself."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # the base class decides what it is asked
        return True
