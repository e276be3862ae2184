"""Which documented outcome is asserted by which shipped case: both are read, neither is run."""

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
    """The list of outcomes or a case can't be read; the message says which and what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One outcome that a document states. The fields are those that the head of outcomes.yaml explains."""

    id: str
    says: str
    at: str | None = None
    needs: str | None = None
    today: str | None = None
    open: str | None = None


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document and its outcomes, in its own order; `left_out` is what it says that is not about egress."""

    id: str
    title: str
    kind: str
    url: str | None = None
    left_out: tuple[str, ...] = ()
    outcomes: tuple[Row, ...]


@dataclass(frozen=True)
class Coverage:
    """The documented outcomes beside the shipped cases."""

    documents: tuple[Document, ...]
    cases: tuple[ShippedCase, ...]

    @property
    def rows(self) -> Iterator[Row]:
        """Every outcome of every document."""
        return (row for document in self.documents for row in document.outcomes)

    def asserting(self, row: Row) -> list[ShippedCase]:
        """Return the cases that assert an outcome."""
        return [shipped for shipped in self.cases if shipped.case and row.id in shipped.case.outcomes]


def read(suite: Path) -> Coverage:
    """Return the outcomes and the cases of a suite folder; raise CoverageError where either can't be read."""
    try:
        return Coverage(documents_of((suite / OUTCOMES).read_text(encoding="utf-8")), tuple(shipped_cases(suite)))
    except (CaseImportError, OSError) as error:
        raise CoverageError(str(error)) from error


def documents_of(text: str) -> tuple[Document, ...]:
    """Return the documents that the text of an outcomes.yaml lists."""
    try:
        listed = yaml.safe_load(text)["documents"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise CoverageError(f"{OUTCOMES} can't be read: {error}") from error
    documents = tuple(_document(entry) for entry in listed)
    repeated = [
        name for name, count in Counter(row.id for each in documents for row in each.outcomes).items() if count > 1
    ]
    if repeated:
        raise CoverageError(f"{OUTCOMES} lists twice: {', '.join(repeated)}")
    return documents


def _document(entry: Mapping[str, Any]) -> Document:
    _check_fields(entry, Document)
    rows = tuple(_row(outcome) for outcome in entry["outcomes"])
    return Document(**{**entry, "outcomes": rows, "left_out": tuple(entry.get("left_out", ()))})


def _row(entry: Mapping[str, Any]) -> Row:
    _check_fields(entry, Row)
    row = Row(**entry)
    if row.today is not None and not NAMES_A_VERSION.match(row.today):
        raise CoverageError(f"{OUTCOMES}: {row.id}: today has to begin with 'since VERSION: ' or 'by VERSION: '")
    return row


def _check_fields(entry: Mapping[str, Any], kind: type[Document] | type[Row]) -> None:
    name = entry.get("id", "an entry without id")
    known = {field.name for field in fields(kind)}
    needed = {"id", "title", "kind", "outcomes"} if kind is Document else {"id", "says"}
    for wrong, words in ((set(entry) - known, "knows no"), (needed - set(entry), "lacks")):
        if wrong:
            raise CoverageError(f"{OUTCOMES}: {name} {words} {', '.join(sorted(wrong))}")
    for field, value in entry.items():
        if field not in {"left_out", "outcomes"} and not (isinstance(value, str) and value.strip()):
            raise CoverageError(f"{OUTCOMES}: {name}: {field} has to be text; quote it where it holds ': '")


def problems(coverage: Coverage) -> list[str]:
    """Return what is amiss between outcomes and cases, one line each with what to do; none if all is well."""
    return [*_of_cases(coverage), *_of_rows(coverage)]


def _of_cases(coverage: Coverage) -> Iterator[str]:
    known = {row.id for row in coverage.rows}
    for shipped in coverage.cases:
        if shipped.case is None:
            yield f"{shipped.id} is not declared: put @documented(at=..., says=..., rows=[...]) on it"
            continue
        if not shipped.case.page.strip():
            yield f"{shipped.id} has no source: name the page in at="
        if not shipped.case.outcomes:
            yield f"{shipped.id} asserts no outcome: name rows of {OUTCOMES} in rows="
        for row in shipped.case.outcomes:
            if row not in known:
                yield f"{shipped.id} names {row}, which {OUTCOMES} doesn't list: correct it or add the row"


def _of_rows(coverage: Coverage) -> Iterator[str]:
    for row in coverage.rows:
        asserting = coverage.asserting(row)
        if not asserting and row.open is None:
            yield f"{row.id} is asserted by no case: write one, or say in {OUTCOMES} why it is open"
        if asserting and row.open is not None:
            yield f"{row.id} is called open but {asserting[0].id} asserts it: run istio-egress coverage"


def close_rows(text: str, closed: set[str]) -> str:
    """Return the text of an outcomes.yaml without the `open` lines of the rows that cases assert by now."""
    kept, row = [], None
    for line in text.splitlines(keepends=True):
        field, _, value = line.strip().partition(": ")
        if field == "- id":
            row = value
        if not (field == "open" and row in closed):
            kept.append(line)
    return "".join(kept)
