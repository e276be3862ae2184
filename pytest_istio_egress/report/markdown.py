"""A run as Markdown, short enough for the summary page of a CI job."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, RESULTS, SKIPPED
from pytest_istio_egress.redaction import redact
from pytest_istio_egress.report.document import Run
from pytest_istio_egress.report.results import Result

LARGEST = 500_000
"""Characters of one table. A job's summary is limited to 1 MiB, which other steps share."""


def cell(text: str) -> str:
    """Return a text escaped for Markdown, on one line, also for a cell of a table."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|~])", r"\\\1", line)


def summary_text(run: Run) -> str:
    """Return the page: totals, failures with their causes, known deviations, unsteady answers, reasons of skips."""
    info = run.info
    versions = {"Kubernetes": info.kubernetes, "Istio": info.istio, "Envoy": ", ".join(run.envoy)}
    shown = [f"{name} {cell(version)}" for name, version in versions.items() if version]
    parts = ["## Istio egress conformance", "", ", ".join([cell(info.context or info.target), *shown]), ""]
    parts += [f"{run.tests} tests, {len(run.results)} parameters:", ""] if run.results else []
    parts += ["| result | parameters |", "| --- | ---: |"]
    parts += [f"| {name} | {run.count(name)} |" for name in RESULTS if run.count(name)]
    parts += [f"| passed, but unsteady | {run.unsteady} |"] if run.unsteady else []
    broken = [result for result in run.results if result.result in (ERROR, FAILED)]
    known = [result for result in run.results if result.result == KNOWN_DEVIATION]
    parts += _table("Failures and errors", "cause", broken)
    parts += _table("Known deviations", "reason", known)
    parts += _table("Unsteady", "answers", [result for result in run.results if result.passed_unsteady])
    parts += _reasons(run.results)
    if not info.complete:
        parts += ["", f"The run was stopped before its end: {cell(info.stopped or 'no reason given')}."]
    return redact("\n".join(parts) + "\n")


def _table(title: str, column: str, results: Sequence[Result]) -> list[str]:
    if not results:
        return []
    lines = ["", f"### {title}", "", f"| parameter | {column} |", "| --- | --- |"]
    size = 0
    for number, result in enumerate(results):
        reason = result.known_deviation if result.result == KNOWN_DEVIATION else result.cause
        reason = "; ".join(filter(None, [reason, *result.unsteady])) or result.result
        evidence = f"<br>evidence: {cell(result.evidence)}" if result.evidence else ""
        row = f"| {_linked(result)} | {cell(reason)}{evidence} |"
        size += len(row)
        if size > LARGEST:
            return [*lines, "", f"... and {len(results) - number} more."]
        lines.append(row)
    return lines


def _linked(result: Result) -> str:
    linked = re.fullmatch(r"https?://[^\s()|]+", result.source)
    return f"[{cell(result.id)}]({result.source})" if linked else cell(result.id)


def _reasons(results: Sequence[Result]) -> list[str]:
    reasons = Counter(result.cause for result in results if result.result == SKIPPED)
    if not reasons:
        return []
    lines = ["", "### Skipped", ""]
    return [*lines, *(f"- {cell(reason)} ({number})" for reason, number in sorted(reasons.items()))]
