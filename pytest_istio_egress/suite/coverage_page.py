"""The page docs/coverage.md: document by document, outcome by outcome, the cases that assert it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_istio_egress.model.istio_versions import SUPPORTED, TESTED
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.suite.coverage import Coverage, Document, Row
from pytest_istio_egress.suite.discovery import ShippedCase

HEAD = """\
# Coverage

What each document states about traffic that leaves a mesh, and the shipped cases that assert it. Made of
`conformance/outcomes.yaml` and of the cases themselves by `istio-egress coverage`: change those, then run it again.

*Today* stands where a current Istio behaves otherwise by design: the case asserts what is so today. *Needs* is what not
each mesh has: where it is missing, the case, or that part of it, is skipped with that reason. *Open* has no case yet.
"""


def page_of(coverage: Coverage) -> str:
    """Return the whole page as Markdown; links to cases lead from docs/ to the files beside it."""
    return "\n".join(
        [
            HEAD,
            *_summary(coverage),
            *_versions(coverage),
            *(line for each in coverage.documents for line in _section(each, coverage)),
        ]
    )


def _summary(coverage: Coverage) -> Iterator[str]:
    yield "| document | outcomes | asserted | open | otherwise today |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for document in coverage.documents:
        yield _counts(f"[{_plain(document.title)}](#{_anchor(document)})", document.outcomes, coverage)
    yield _counts("**all**", tuple(coverage.rows), coverage)
    yield ""
    asserting = {shipped.id for row in coverage.rows for shipped in coverage.asserting(row)}
    yield f"{len(asserting)} cases assert them."
    yield ""


def _versions(coverage: Coverage) -> Iterator[str]:
    seen = "; ".join(f"{release} ({where})" for release, where in TESTED.items())
    unseen = [release for release in SUPPORTED if release not in TESTED]
    yield "## Versions of Istio"
    yield ""
    yield f"Istio {SUPPORTED[0]} and later are supported. Seen in a run: {seen}."
    yield f"**Not yet seen**, and written from Istio's documents alone: {', '.join(unseen)}."
    yield "Where the documented outcome depends on the version, the case says so:"
    yield ""
    yield "| case | from Istio | before it (not yet seen) |"
    yield "| --- | --- | --- |"
    for shipped in coverage.cases:
        if shipped.case and shipped.case.min_istio:
            yield f"| `{shipped.id}` | {shipped.case.min_istio} | skipped: it is not documented |"
        for release in sorted({name for outcome in _outcomes(shipped) for name in outcome.before_istio}):
            yield f"| `{shipped.id}` | {release} | another outcome |"
    yield ""


def _outcomes(shipped: ShippedCase) -> Iterator[Outcome]:
    """Yield the outcomes that a case's parameters expect."""
    for mark in getattr(shipped.function, "pytestmark", ()):
        for values in mark.args[1] if mark.name == "parametrize" else ():
            given = getattr(values, "values", values)
            yield from (
                each for each in (given if isinstance(given, tuple | list) else ()) if isinstance(each, Outcome)
            )


def _counts(name: str, rows: tuple[Row, ...], coverage: Coverage) -> str:
    asserted = sum(1 for row in rows if coverage.asserting(row))
    today = sum(1 for row in rows if row.today)
    return f"| {name} | {len(rows)} | {asserted} | {len(rows) - asserted} | {today} |"


def _section(document: Document, coverage: Coverage) -> Iterator[str]:
    kind = _plain(document.kind)
    yield f"## {_heading(document)}"
    yield ""
    yield f"Source: [{kind}]({document.url})." if document.url else f"Source: {kind}."
    yield ""
    for row in document.outcomes:
        yield f"- **{row.id}** {_plain(row.says)}"
        yield from _details(row, coverage.asserting(row))
    yield ""
    if document.left_out:
        yield "Without a row, because it is not about egress or not Istio's:"
        yield ""
        yield from (f"- {_plain(left_out)}" for left_out in document.left_out)
        yield ""


def _details(row: Row, asserting: list[ShippedCase]) -> Iterator[str]:
    if row.today:
        yield f"  - *Today*, {_plain(row.today)}"
    if row.needs:
        yield f"  - *Needs* {_plain(row.needs)}"
    if row.at:
        yield f"  - Documented at <{row.at}>"
    for shipped in asserting:
        # The id without the function is the file's path in the checkout, and docs/ lies beside conformance/.
        file = shipped.id.partition("::")[0]
        after = f", after <{shipped.case.source}>" if shipped.case else ""
        yield f"  - Asserted by [`{shipped.id}`](../{file}){after}"
    if not asserting:
        yield f"  - **Open**: {_plain(row.open or 'nobody has said why')}"


def _heading(document: Document) -> str:
    return f"{document.id}: {_plain(document.title)}"


def _anchor(document: Document) -> str:
    """Return what GitHub makes of the heading: lower case, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", f"{document.id}: {document.title}".lower()).replace(" ", "-")


def _plain(text: str) -> str:
    # An underscore between letters, as in REGISTRY_ONLY, is no markup.
    return re.sub(r"([\\`*<>\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", text)
