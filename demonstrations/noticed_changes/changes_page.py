"""The page docs/noticed_changes.md: which parameters notice that one field of a manifest was changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

import yaml
from mutations import UNCHANGED, Mutation, category_of

from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED
from pytest_istio_egress.suite.discovery import ROOT

NOTICED, REJECTED, UNNOTICED, BROKEN, NOT_RUN = "noticed", "rejected", "not noticed", "error", "not run"
EXPLAINED, MISSING, DEFECT = "not noticed, with a reason", "skipped: the cluster lacks a feature", "defect"

HEAD = """\
# Changes of manifests that tests notice

Made by `python demonstrations/noticed_changes/noticed_changes.py -n 2` on the embedded cluster.
[noticed.md](noticed.md) takes manifests away; here, one field of one resource is changed a little, and everything else
stays: a time becomes half as long again, a port, an address or a host another one that exists or could exist, a
protocol, a mode or a header another value. All tests that apply the manifest run with it. At least one of their
parameters must fail.

The changes are generated from the manifests by the table of `demonstrations/noticed_changes/mutations.py`. In an area,
each field is changed in the first resource that has it; a protocol, a mode and a header once for each value, and every
time (`--every-field` changes each field of each resource). `mesh_wide/`, where each run takes minutes, and
`validation/`, whose manifests are never applied, are left out. Every test also runs without any change, and must pass
then.
"""


@dataclass(frozen=True)
class Seen:
    """What one parameter did under a change."""

    parameter: str
    """pytest's id."""
    result: str
    reason: str
    """The first difference, or the text of an error."""


def load_reasons() -> dict[str, str]:
    """Return why changes cannot be noticed, by a pattern with `*` of the change."""
    entries = yaml.safe_load(Path(__file__).with_name("unnoticed.yaml").read_text()) or []
    return {change: entry["reason"] for entry in entries for change in entry["changes"]}


def reason_of(change: Mutation, reasons: Mapping[str, str]) -> str | None:
    """Return why a change cannot be noticed; None where it has to be."""
    for pattern, reason in reasons.items():
        if re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), str(change)):
            return reason
    return None


def outcome_of(parameters: Sequence[Seen], unchanged: Mapping[str, str]) -> str:
    """Return whether a change was noticed, by what all parameters did that ran with it.

    A parameter counts that passes without the change; where all are skipped, the mesh lacks a feature. An API server
    or a webhook that rejects the manifest notices it for all of them.
    """
    counted = [seen for seen in parameters if unchanged.get(seen.parameter) == PASSED]
    if any(seen.result == FAILED for seen in counted):
        return NOTICED
    if not counted:
        return NOT_RUN
    errors = [seen for seen in counted if seen.result == ERROR]
    if errors:
        return REJECTED if all("was rejected" in seen.reason for seen in errors) else BROKEN
    return UNNOTICED


def outcomes(changes: Sequence[Mutation], seen: Mapping[str, Sequence[Seen]]) -> dict[Mutation, str]:
    """Return the outcome of each change."""
    unchanged = {each.parameter: each.result for each in seen.get("", ())}
    return {change: outcome_of(seen[str(change)], unchanged) for change in changes}


def problems(changes: Sequence[Mutation], seen: Mapping[str, Sequence[Seen]], reasons: Mapping[str, str]) -> list[str]:
    """Return what needs work: changes that nobody notices, errors, tests that fail anyway, reasons without a change."""
    by_change = outcomes(changes, seen)
    found = [
        f"{each.parameter}: {each.result} without a change. {each.reason}"
        for each in seen.get("", ())
        if each.result in (FAILED, ERROR)
    ]
    for change, outcome in by_change.items():
        reason = reason_of(change, reasons)
        if outcome == BROKEN:
            found.append(f"{change}: {next(each.reason for each in seen[str(change)] if each.result == ERROR)}")
        elif outcome == UNNOTICED and reason is None:
            found.append(f"{change}: no parameter notices it")
        elif outcome == NOTICED and reason is not None:
            found.append(f"{change}: noticed, although unnoticed.yaml says that it cannot be")
    return found


def page(changes: Sequence[Mutation], seen: Mapping[str, Sequence[Seen]], reasons: Mapping[str, str]) -> str:
    """Return the page."""
    left_out = Counter(change.manifest.partition("/")[0] for change in changes if str(change) not in seen)
    changes = [change for change in changes if str(change) in seen]
    by_change = outcomes(changes, seen)
    found = problems(changes, seen, reasons)
    sections = (
        [HEAD, *_not_run(left_out)],
        _summary(by_change, reasons),
        _list("Defects", found),
        _unnoticed(by_change, reasons),
        _never_changed(),
        _noticed(by_change, seen),
    )
    return "\n".join(line for section in sections for line in section) + "\n"


def _not_run(left_out: Mapping[str, int]) -> Iterator[str]:
    if left_out:
        areas = ", ".join(f"{count} of `{area}/`" for area, count in sorted(left_out.items()))
        yield f"{sum(left_out.values())} changes have not been run: {areas}. Nothing is known of them."
        yield ""


def _summary(by_change: Mapping[Mutation, str], reasons: Mapping[str, str]) -> Iterator[str]:
    counts = Counter(
        (category_of(change.field), _column(change, outcome, reasons)) for change, outcome in by_change.items()
    )
    columns = (NOTICED, REJECTED, EXPLAINED, NOT_RUN, DEFECT)
    yield f"| changed | changes | noticed | rejected by Istio or Kubernetes | {EXPLAINED} | {MISSING} | defect |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for category in sorted({category for category, _ in counts}):
        numbers = [counts[category, column] for column in columns]
        yield f"| {category} | {sum(numbers)} | {' | '.join(map(str, numbers))} |"
    totals = [sum(count for (_, name), count in counts.items() if name == column) for column in columns]
    yield f"| **all** | {sum(totals)} | {' | '.join(map(str, totals))} |"
    yield ""


def _column(change: Mutation, outcome: str, reasons: Mapping[str, str]) -> str:
    if outcome in (NOTICED, REJECTED, NOT_RUN):
        return outcome
    explained = outcome == UNNOTICED and reason_of(change, reasons) is not None
    return EXPLAINED if explained else DEFECT


def _list(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"## {title}"
        yield ""
        yield from (f"- {_shortened(line)}" for line in lines)
        yield ""


def _unnoticed(by_change: Mapping[Mutation, str], reasons: Mapping[str, str]) -> Iterator[str]:
    yield "## Changes that no parameter notices, and why"
    yield ""
    yield "| change | reason |"
    yield "| --- | --- |"
    for change, outcome in by_change.items():
        if outcome == UNNOTICED and (reason := reason_of(change, reasons)):
            yield f"| {_cell(str(change))} | {reason} |"
    yield ""


def _never_changed() -> Iterator[str]:
    yield "## Fields that are not changed, and why"
    yield ""
    yield "| fields | reason |"
    yield "| --- | --- |"
    for pattern, reason in UNCHANGED:
        yield f"| `{_cell(pattern)}` | {reason} |"
    yield ""


def _noticed(by_change: Mapping[Mutation, str], seen: Mapping[str, Sequence[Seen]]) -> Iterator[str]:
    yield "## Changes that parameters notice"
    yield ""
    yield "The second column has the first parameter that fails, and how many fail besides it."
    yield ""
    yield "| change | noticed by | first difference |"
    yield "| --- | --- | --- |"
    for change, outcome in by_change.items():
        if outcome in (NOTICED, REJECTED):
            wanted = FAILED if outcome == NOTICED else ERROR
            first, *rest = sorted(
                (each for each in seen[str(change)] if each.result == wanted), key=lambda each: each.parameter
            )
            by = _short_id(first.parameter) if outcome == NOTICED else "Istio or Kubernetes"
            more = f" and {len(rest)} more" if rest and outcome == NOTICED else ""
            yield f"| {_cell(str(change))} | {by}{more} | {_shortened(first.reason)} |"


def _short_id(parameter: str) -> str:
    return parameter.removeprefix(f"{ROOT}/").replace("/test_", "/").replace(".py::test_", ": ")


def _shortened(text: str) -> str:
    return _cell(shorten(text, 160, placeholder=" ..."))


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
