"""`conformance-report.yaml`: a run for programs; conformance_report.schema.json describes its format."""

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
from pytest_istio_egress.report.results import HOP_LOGS, Result

FORMAT = "istio-egress-conformance-report"
FORMAT_VERSION = 3
HEAD = "# Results of pytest --istio-egress; `istio-egress compare` compares two of these files.\n"


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """The run itself: the version of the suite, the cluster and its mesh, the options."""

    suite: str
    """The version of pytest-istio-egress."""
    target: str = ""
    """The kind of target: context or embedded."""
    context: str = ""
    """The kubeconfig context."""
    kubernetes: str = ""
    istio: str = ""
    outbound_mode: str = ""
    gateway: str = ""
    """The egress gateway, in one line."""
    notes: tuple[str, ...] = ()
    features: Mapping[str, str | None] = field(default_factory=dict)
    """For each feature the reason why the mesh lacks it, None where it has it."""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """The detected facts of the mesh, by their names in mesh_facts.py."""
    run: str = ""
    """The run's id, six letters and digits."""
    began: str = ""
    """ISO 8601, UTC."""
    seconds: float = 0.0
    complete: bool = True
    """False where the run was stopped before its end."""
    stopped: str = ""
    """Why it was stopped."""
    arguments: tuple[str, ...] = ()
    """pytest's arguments as they were typed."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The environment variables that had an effect on the run."""
    options: tuple[str, ...] = ()
    """The options that select the cluster and the way it is tested, wherever they were set."""
    tools: Mapping[str, str] = field(default_factory=dict)
    """The versions of Python, pytest, and so on."""

    @property
    def reproduce(self) -> str:
        """The command as it was typed, with the environment variables that had an effect."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in sorted(self.environment.items())]
        return " ".join([*variables, shlex.join(["pytest", *self.arguments])])

    def command(self, *ids: str) -> str:
        """Return the command that runs only these parameters, with the same options."""
        return shlex.join(["pytest", "--istio-egress", *self.options, *ids])


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run and the results of its parameters."""

    info: RunInfo
    results: Sequence[Result]

    @property
    def envoy(self) -> list[str]:
        """The versions of the clients' Envoys; one, unless proxies differ."""
        return sorted({result.envoy_version for result in self.results if result.envoy_version})

    @property
    def ordered(self) -> list[Result]:
        """The results by area, test and parameter."""
        return sorted(self.results, key=lambda result: (result.area, result.test, result.id))

    @property
    def tests(self) -> int:
        """The number of test functions."""
        return len({result.test for result in self.results})

    @property
    def unsteady(self) -> int:
        """The number of parameters that passed, but not with each of their answers."""
        return sum(result.passed_unsteady for result in self.results)

    def count(self, name: str) -> int:
        """Return the number of parameters with a result."""
        return sum(result.result == name for result in self.results)


def report_text(run: Run) -> str:
    """Return the file: the same bytes for the same results, in whatever order they arrived."""
    document = redacted(document_of(run))
    return HEAD + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**16)


def document_of(run: Run) -> dict[str, Any]:
    """Return the report as mappings and lists. `totals` comes last: a truncated file lacks it."""
    info = run.info
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "suite": {"name": "pytest-istio-egress", "version": info.suite},
        "run": {
            "id": info.run,
            "began": info.began,
            "seconds": round(info.seconds, 1),
            "complete": info.complete,
            **({"stopped": info.stopped} if info.stopped else {}),
            "reproduce": info.reproduce,
            "options": list(info.options),
            "tools": dict(sorted(info.tools.items())),
        },
        "target": {"kind": info.target, "context": info.context, "notes": list(info.notes)},
        "versions": {"kubernetes": info.kubernetes, "istio": info.istio, "envoy": run.envoy},
        "mesh": {"outbound_mode": info.outbound_mode, "egress_gateway": info.gateway, "facts": _facts(info)},
        "features": {
            name: {"available": True} if reason is None else {"available": False, "reason": reason}
            for name, reason in sorted(info.features.items())
        },
        "tests": _tests(run),
        "totals": {
            "tests": run.tests,
            "parameters": len(run.results),
            **{name: run.count(name) for name in reversed(RESULTS)},
            "unsteady": run.unsteady,
        },
    }


def _facts(info: RunInfo) -> dict[str, Any]:
    return {
        name: {"value": fact.value, "origin": fact.origin} | ({"why": fact.why} if fact.why else {})
        for name, fact in info.facts.items()
    }


def _tests(run: Run) -> list[dict[str, Any]]:
    groups = groupby(run.ordered, key=lambda result: (result.area, result.test))
    return [_test(name, list(results), run.info) for (_, name), results in groups]


def _test(name: str, results: list[Result], info: RunInfo) -> dict[str, Any]:
    return {
        "id": name,
        "area": results[0].area,
        "summary": next((result.summary for result in results if result.summary), ""),
        "source": next((result.source for result in results if result.source), ""),
        "result": min((result.result for result in results), key=RESULTS.index),
        "parameters": [_parameter(result, info) for result in results],
    }


def _parameter(result: Result, info: RunInfo) -> dict[str, Any]:
    """Return one parameter; fields without a value are left out."""
    described: dict[str, Any] = {"id": result.id, "result": result.result}
    if result.result == SKIPPED:
        described["reason"] = result.cause
    elif result.cause:
        described["error" if result.result == ERROR else "cause"] = result.cause
    described |= _set(result, "known_deviation", "expired_deviation", "evidence")
    described |= _evidence(result)
    if result.probes:
        # Each by itself; the fields above are those of the worst one.
        described["probes"] = [
            {"result": probe.result} | ({"cause": probe.cause} if probe.cause else {}) | _evidence(probe)
            for probe in result.probes
        ]
    described["reproduce"] = info.command(result.id)
    return described


def _evidence(result: Result) -> dict[str, Any]:
    """Return what was sent, and what every hop observed."""
    described = _set(result, "client", "probe", "expected")
    if result.assigned_addresses:
        described["assigned_addresses"] = list(result.assigned_addresses)
    if result.exit is not None:
        described["seen"] = {
            "status": result.status or None,
            "exit": result.exit,
            "seconds": round(result.seconds, 3),
            "attempts": result.attempts,
        }
    if result.unsteady:
        described["unsteady"] = list(result.unsteady)
    for name in HOP_LOGS:
        if log := getattr(result, name):
            described[name] = log.to_mapping()
    described |= _set(result, "server_saw", "envoy_version")
    if result.response_headers:
        described["response_headers"] = list(result.response_headers)
    if result.differences:
        described["differences"] = [difference.to_mapping() for difference in result.differences]
    if result.equal_values:
        described["equal_values"] = {name: list(values) for name, values in result.equal_values.items()}
    return described


def _set(result: Result, *names: str) -> dict[str, Any]:
    return {name: getattr(result, name) for name in names if getattr(result, name)}


class _Dumper(yaml.SafeDumper):
    """Writes no anchors: each parameter has to be readable by itself."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # the base class decides by it
        return True
