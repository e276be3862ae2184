"""A run as Markdown, short enough for a CI job's summary page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, RESULTS, SKIPPED
from pytest_istio_egress.redaction import redact
from pytest_istio_egress.report.document import Run
from pytest_istio_egress.report.results import Result

LARGEST = 500_000
"""Characters. A job's summary may have 1 MiB; other steps want some of it."""


def cell(text: str) -> str:
    """Return a text so that Markdown shows it as it is, on one line and inside a table."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|~])", r"\\\1", line)


def summary_text(run: Run) -> str:
    """Return the page: totals, what broke and why, what is known, what could not be asked."""
    about = run.info
    versions = {"Kubernetes": about.kubernetes, "Istio": about.istio, "Envoy": ", ".join(run.envoy)}
    told = [f"{name} {cell(version)}" for name, version in versions.items() if version]
    parts = ["## Egress conformance", "", ", ".join([cell(about.context or about.target), *told]), ""]
    parts += ["| outcome | cases |", "| --- | ---: |"]
    parts += [f"| {outcome} | {run.count(outcome)} |" for outcome in RESULTS if run.count(outcome)]
    broken = [result for result in run.results if result.result in (ERROR, FAILED)]
    parts += _table("Not as documented", "why", broken)
    parts += _table("Known deviations", "reason", [one for one in run.results if one.result == KNOWN_DEVIATION])
    parts += _reasons(run.results)
    if not about.complete:
        parts += ["", f"The run did not come to its end: {cell(about.stopped or 'it was stopped')}."]
    return redact("\n".join(parts) + "\n")


def _table(title: str, column: str, results: Sequence[Result]) -> list[str]:
    if not results:
        return []
    lines = ["", f"### {title}", "", f"| case | {column} |", "| --- | --- |"]
    size = 0
    for number, result in enumerate(results):
        why = result.known_deviation if result.result == KNOWN_DEVIATION else result.cause or result.result
        kept = f"<br>evidence: {cell(result.evidence)}" if result.evidence else ""
        row = f"| {_linked(result)} | {cell(why)}{kept} |"
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
    lines = ["", "### Cannot be asked here", ""]
    return [*lines, *(f"- {cell(reason)} ({number})" for reason, number in sorted(reasons.items()))]
