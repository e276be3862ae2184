"""Compares conformance/outcomes.yaml with the tests that assert its entries; reads both, runs neither."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from pytest_istio_egress.suite.discovery import OUTCOMES, CaseImportError, ShippedCase, shipped_cases

NAMES_A_VERSION = re.compile(r"(since|by) (Kubernetes )?\d+\.\d+: ")


class CoverageError(Exception):
    """The list of outcomes or a test module cannot be read; the message names it and the cause."""


@dataclass(frozen=True, kw_only=True)
class DocumentedOutcome:
    """One outcome that a document states. The head of outcomes.yaml explains the fields."""

    id: str
    statement: str
    source: str | None = None
    needs: str | None = None
    today: str | None = None
    open: str | None = None


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document and its outcomes, in its own order."""

    id: str
    title: str
    kind: str
    url: str | None = None
    left_out: tuple[str, ...] = ()
    """Statements of the document that are not about egress."""
    outcomes: tuple[DocumentedOutcome, ...]


@dataclass(frozen=True)
class Coverage:
    """The documented outcomes and the shipped tests."""

    documents: tuple[Document, ...]
    tests: tuple[ShippedCase, ...]

    @property
    def outcomes(self) -> Iterator[DocumentedOutcome]:
        """Every outcome of every document."""
        return (outcome for document in self.documents for outcome in document.outcomes)

    def tests_of(self, outcome: DocumentedOutcome) -> list[ShippedCase]:
        """Return the tests that assert an outcome."""
        return [test for test in self.tests if test.case and outcome.id in test.case.outcomes]


def read(suite: Path) -> Coverage:
    """Return outcomes and tests of a suite folder; raise CoverageError if either cannot be read."""
    try:
        return Coverage(documents_of((suite / OUTCOMES).read_text(encoding="utf-8")), tuple(shipped_cases(suite)))
    except (CaseImportError, OSError) as error:
        raise CoverageError(str(error)) from error


def documents_of(text: str) -> tuple[Document, ...]:
    """Return the documents in the text of an outcomes.yaml."""
    try:
        entries = yaml.safe_load(text)["documents"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise CoverageError(f"cannot read {OUTCOMES}: {error}") from error
    documents = tuple(_document(entry) for entry in entries)
    ids = Counter(outcome.id for document in documents for outcome in document.outcomes)
    repeated = [name for name, count in ids.items() if count > 1]
    if repeated:
        raise CoverageError(f"{OUTCOMES}: duplicate ids: {', '.join(repeated)}")
    return documents


def _document(entry: Mapping[str, Any]) -> Document:
    _check_fields(entry, Document)
    outcomes = tuple(_outcome(outcome) for outcome in entry["outcomes"])
    return Document(**{**entry, "outcomes": outcomes, "left_out": tuple(entry.get("left_out", ()))})


def _outcome(entry: Mapping[str, Any]) -> DocumentedOutcome:
    _check_fields(entry, DocumentedOutcome)
    outcome = DocumentedOutcome(**entry)
    if outcome.today is not None and not NAMES_A_VERSION.match(outcome.today):
        raise CoverageError(f"{OUTCOMES}: {outcome.id}: 'today' must begin with 'since VERSION: ' or 'by VERSION: '")
    return outcome


def _check_fields(entry: Mapping[str, Any], kind: type[Document] | type[DocumentedOutcome]) -> None:
    name = entry.get("id", "entry without id")
    allowed = {field.name for field in fields(kind)}
    required = {"id", "title", "kind", "outcomes"} if kind is Document else {"id", "statement"}
    for keys, problem in ((set(entry) - allowed, "unknown"), (required - set(entry), "missing")):
        if keys:
            raise CoverageError(f"{OUTCOMES}: {name}: {problem} keys: {', '.join(sorted(keys))}")
    for field, value in entry.items():
        if field not in {"left_out", "outcomes"} and not (isinstance(value, str) and value.strip()):
            raise CoverageError(f"{OUTCOMES}: {name}: '{field}' must be text; quote it if it contains ': '")


def problems(coverage: Coverage) -> list[str]:
    """Return the disagreements between outcomes and tests, one line each with the remedy."""
    return [*_problems_of_tests(coverage), *_problems_of_outcomes(coverage)]


def _problems_of_tests(coverage: Coverage) -> Iterator[str]:
    listed = {outcome.id for outcome in coverage.outcomes}
    for test in coverage.tests:
        if test.case is None:
            yield f"{test.id}: not declared; add @documented(source=..., summary=..., outcomes=[...])"
            continue
        if not test.case.page.strip():
            yield f"{test.id}: no source; name the documentation page in source="
        if not test.case.outcomes:
            yield f"{test.id}: asserts no documented outcome; name entries of {OUTCOMES} in outcomes="
        for outcome in test.case.outcomes:
            if outcome not in listed:
                yield f"{test.id}: unknown outcome '{outcome}'; correct the id or add it to {OUTCOMES}"


def _problems_of_outcomes(coverage: Coverage) -> Iterator[str]:
    for outcome in coverage.outcomes:
        tests = coverage.tests_of(outcome)
        if not tests and outcome.open is None:
            yield f"{outcome.id}: asserted by no test; write one, or give the reason as 'open' in {OUTCOMES}"
        if tests and outcome.open is not None:
            yield f"{outcome.id}: marked as open, but asserted by {tests[0].id}; run istio-egress coverage"


def close_outcomes(text: str, closed: set[str]) -> str:
    """Return the text of an outcomes.yaml without the `open` lines of the outcomes with these ids."""
    lines, outcome = [], None
    for line in text.splitlines(keepends=True):
        field, _, value = line.strip().partition(": ")
        if field == "- id":
            outcome = value
        if not (field == "open" and outcome in closed):
            lines.append(line)
    return "".join(lines)
