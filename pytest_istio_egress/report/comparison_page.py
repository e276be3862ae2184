"""The comparison of two runs as one self-contained HTML page: search, filters, the evidence of both runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_istio_egress.report.comparison import BETTER, KINDS, NEW, Change
from pytest_istio_egress.report.comparison_text import HEADINGS, counts
from pytest_istio_egress.report.html_page import PAGE, clean, options
from pytest_istio_egress.report.results import Result

STYLE = """
.worse, .gone { color: var(--failed); } .changed { color: var(--known-deviation); } .better { color: var(--passed); }
.sides { display: flex; flex-wrap: wrap; gap: 0 1rem; } .sides > div { flex: 1 1 24rem; min-width: 0; }
h4 { margin: .4rem 0 0; font-size: 1rem; } li, a { overflow-wrap: anywhere; }
"""


def comparison_page(changes: Sequence[Change], environment: Sequence[str], verdict: str) -> str:
    """Return the page. It loads nothing, works as a local file, and shows everything without its script too.

    `environment` are the differences between the two clusters, one line each; `verdict` is the line of the gate.
    """
    folder = Path(__file__).parent
    return PAGE.format(
        title="Istio egress: comparison of two runs",
        style=(folder / "html_page.css").read_text(encoding="utf-8") + STYLE,
        script=(folder / "html_page.js").read_text(encoding="utf-8"),
        facts=_facts(changes, environment, verdict),
        filters=_filters(changes),
        sections="\n".join(_sections(changes)) or "<p>No differences.</p>",
    )


def _facts(changes: Sequence[Change], environment: Sequence[str], verdict: str) -> str:
    facts = [("Parameters", counts(changes)), ("Verdict", verdict)]
    facts += [(name or "Runs", change) for name, _, change in (line.rpartition(": ") for line in environment)]
    rows = "".join(f"<dt>{clean(name)}</dt><dd>{clean(value)}</dd>" for name, value in facts)
    return f'<dl class="facts">{rows}</dl>'


def _filters(changes: Sequence[Change]) -> str:
    areas = sorted({change.either.area for change in changes})
    kinds = [kind for kind in KINDS if any(change.kind == kind for change in changes)]
    return (
        '<form role="search" aria-label="Parameters" hidden>'
        '<label>Text<input type="search" name="text" autocomplete="off"></label>'
        f'<label>Area<select name="area">{options(areas)}</select></label>'
        f'<label>Change<select name="result">{options(kinds)}</select></label>'
        '<button type="reset">Show all</button> <output id="count" aria-live="polite"></output></form>'
    )


def _sections(changes: Sequence[Change]) -> Iterable[str]:
    for kind in KINDS:
        of_kind = [change for change in changes if change.kind == kind]
        if of_kind:
            heading = f'<h2 id="{kind}">{clean(HEADINGS[kind])} ({len(of_kind)})</h2>'
            yield f'<section aria-labelledby="{kind}">{heading}\n{"".join(map(_change, of_kind))}</section>'


def _change(change: Change) -> str:
    result = change.either
    opened = "" if change.kind in (NEW, BETTER) else " open"
    source = result.source if result.source.startswith(("https://", "http://")) else ""
    linked = f'<p class="quiet"><a href="{clean(source)}">{clean(source)}</a></p>' if source else ""
    differences = "".join(f"<li>{clean(difference)}</li>" for difference in change.differences)
    sides = "".join(_side(name, run) for name, run in (("Before", change.before), ("After", change.after)) if run)
    return (
        f'<article data-area="{clean(result.area)}" data-text="{clean(f"{result.id} {result.summary}")}">'
        f"<h3>{clean(result.id)}</h3><p>{clean(result.summary)}</p>{linked}"
        f'<details data-result="{change.kind}"{opened}><summary>'
        f'<span class="result {change.kind}">{change.kind}</span></summary>'
        f'<ul>{differences}</ul><div class="sides">{sides}</div></details></article>'
    )


def _side(name: str, result: Result) -> str:
    seen = "" if result.exit is None else f"status {result.status or '-'}, exit {result.exit}, {result.seconds:.2f} s"
    texts = {
        "Expected outcome": result.expected,
        "Seen": seen,
        "Access log of the sidecar": result.sidecar.line if result.sidecar else "",
        "Access log of ztunnel": result.ztunnel.line if result.ztunnel else "",
        "Access log of the waypoint": result.waypoint.line if result.waypoint else "",
        "Access log of the egress gateway": result.gateway.line if result.gateway else "",
        "Access log of the forward proxy": result.forward_proxy.line if result.forward_proxy else "",
        "External server saw": result.server_saw,
        "Response headers": "\n".join(result.response_headers),
    }
    rows = "".join(f'<p class="quiet">{title}</p><pre>{clean(text)}</pre>' for title, text in texts.items() if text)
    cause = f"<p>{clean(result.cause)}</p>" if result.cause else ""
    return f"<div><h4>{name}: {clean(result.result)}</h4>{cause}{rows}</div>"
