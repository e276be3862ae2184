"""The comparison of two runs as one HTML page that needs nothing else: search, filters, what each run saw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from pytest_istio_egress.redaction import redact
from pytest_istio_egress.report.comparison import BETTER, KINDS, NEW, Change
from pytest_istio_egress.report.comparison_text import HEADINGS, counts
from pytest_istio_egress.report.html_page import PAGE
from pytest_istio_egress.report.results import Result

STYLE = """
.worse, .gone { color: var(--broken); } .changed { color: var(--known); } .better { color: var(--holds); }
.sides { display: flex; flex-wrap: wrap; gap: 0 1rem; } .sides > div { flex: 1 1 24rem; min-width: 0; }
h4 { margin: .4rem 0 0; font-size: 1rem; } li, a { overflow-wrap: anywhere; }
"""


def comparison_page(changes: Sequence[Change], about: Sequence[str], verdict: str) -> str:
    """Return the page. It loads nothing, works from a file, and shows everything without its script too.

    `about` are lines on what differs between the two meshes, `verdict` is what the policy makes of it.
    """
    folder = Path(__file__).parent
    filled = PAGE.format(
        title="Istio egress: two runs compared",
        style=(folder / "html_page.css").read_text(encoding="utf-8") + STYLE,
        script=(folder / "html_page.js").read_text(encoding="utf-8"),
        facts=_facts(changes, about, verdict),
        filters=_filters(changes),
        sections="\n".join(_sections(changes)) or "<p>Nothing differs.</p>",
    )
    return redact(filled)


def _facts(changes: Sequence[Change], about: Sequence[str], verdict: str) -> str:
    facts = [("Cases", counts(changes)), ("Verdict", verdict)]
    facts += [(what or "Runs", words) for what, _, words in (line.rpartition(": ") for line in about)]
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    return f'<dl class="facts">{rows}</dl>'


def _filters(changes: Sequence[Change]) -> str:
    areas = sorted({_either(change).area for change in changes})
    kinds = [kind for kind in KINDS if any(change.kind == kind for change in changes)]
    return (
        '<form role="search" aria-label="Cases" hidden>'
        '<label>Text<input type="search" name="text" autocomplete="off"></label>'
        f'<label>Area<select name="area">{_options(areas)}</select></label>'
        f'<label>Change<select name="outcome">{_options(kinds)}</select></label>'
        '<button type="reset">Show all</button> <output id="count" aria-live="polite"></output></form>'
    )


def _options(values: Iterable[str]) -> str:
    return '<option value="">all</option>' + "".join(f"<option>{escape(value)}</option>" for value in values)


def _sections(changes: Sequence[Change]) -> Iterable[str]:
    for kind in KINDS:
        found = [change for change in changes if change.kind == kind]
        if found:
            heading = f'<h2 id="{kind}">{escape(HEADINGS[kind])} ({len(found)})</h2>'
            yield f'<section aria-labelledby="{kind}">{heading}\n{"".join(map(_change, found))}</section>'


def _change(change: Change) -> str:
    case = _either(change)
    opened = "" if change.kind in (NEW, BETTER) else " open"
    source = case.source if case.source.startswith(("https://", "http://")) else ""
    linked = f'<p class="quiet"><a href="{escape(source)}">{escape(source)}</a></p>' if source else ""
    differs = "".join(f"<li>{escape(words)}</li>" for words in change.differences)
    sides = "".join(_side(name, run) for name, run in (("Before", change.before), ("After", change.after)) if run)
    return (
        f'<article data-area="{escape(case.area)}" data-text="{escape(f"{case.id} {case.summary}")}">'
        f"<h3>{escape(case.id)}</h3><p>{escape(case.summary)}</p>{linked}"
        f'<details data-outcome="{change.kind}"{opened}><summary>'
        f'<span class="outcome {change.kind}">{change.kind}</span></summary>'
        f'<ul>{differs}</ul><div class="sides">{sides}</div></details></article>'
    )


def _side(name: str, run: Result) -> str:
    seen = "" if run.exit is None else f"status {run.status or '-'}, exit {run.exit}, {run.seconds:.2f} s"
    texts = {
        "Documented outcome": run.expected,
        "Seen": seen,
        "The sidecar's access log": run.sidecar,
        "The gateway's access log": run.gateway,
        "What the outside server saw": run.server_saw,
        "Headers of the answer": "\n".join(run.response_headers),
    }
    rows = "".join(f'<p class="quiet">{what}</p><pre>{escape(text)}</pre>' for what, text in texts.items() if text)
    cause = f"<p>{escape(run.cause)}</p>" if run.cause else ""
    return f"<div><h4>{name}: {escape(run.result)}</h4>{cause}{rows}</div>"


def _either(change: Change) -> Result:
    found = change.after or change.before
    assert found is not None, "a change has a case before or after it"
    return found
