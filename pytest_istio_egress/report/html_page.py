"""A run as one HTML page that needs nothing else: every case, what each hop saw of it, search and filters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED, RESULTS
from pytest_istio_egress.redaction import redact
from pytest_istio_egress.report.document import Run, RunInfo
from pytest_istio_egress.report.request_path import Stop, way_of
from pytest_istio_egress.report.results import Result

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#results">Skip to the results</a>
<header>
<h1>{title}</h1>
{facts}
</header>
{filters}
<main id="results">
{sections}
</main>
<script>
{script}</script>
</body>
</html>
"""  # noqa: E501  # a policy is one line


def page_text(run: Run) -> str:
    """Return the page. It loads nothing, works from a file, and shows everything without its script too."""
    folder = Path(__file__).parent
    ordered = sorted(run.results, key=lambda result: (result.area, result.test, result.id))
    filled = PAGE.format(
        title="Istio egress conformance",
        style=(folder / "html_page.css").read_text(encoding="utf-8"),
        script=(folder / "html_page.js").read_text(encoding="utf-8"),
        facts=_facts(run),
        filters=_filters(ordered),
        sections="\n".join(_sections(ordered, run.info)),
    )
    return redact(filled)


def _facts(run: Run) -> str:
    about = run.info
    facts = {
        "Target": f"{about.context} ({about.target})" if about.context else about.target,
        "Kubernetes": about.kubernetes,
        "Istio": about.istio,
        "Envoy": ", ".join(run.envoy),
        "Outbound traffic": about.outbound_mode,
        "Gateway": about.gateway,
        "Features missing": "; ".join(f"{name}: {why}" for name, why in sorted(about.features.items()) if why),
        "Notes": "; ".join(about.notes),
        "Suite": about.suite,
        "Began": about.began,
        "Took": f"{about.seconds:.0f} s",
        "Asked by": about.reproduce if about.arguments else "",
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value)
    stopped = f"This run did not come to its end: {about.stopped or 'it was stopped'}. What is missing was not asked."
    banner = "" if about.complete else f'<p class="stopped" role="alert">{escape(stopped)}</p>'
    counts = "".join(
        f"<li><b>{run.count(outcome)}</b> {_outcome(outcome)}</li>" for outcome in RESULTS if run.count(outcome)
    )
    counted = f'<ul class="counts" aria-label="How many cases ended how">{counts}</ul>' if counts else ""
    return f'{banner}{counted}<dl class="facts">{rows}</dl>'


def _filters(results: Sequence[Result]) -> str:
    areas = sorted({result.area for result in results})
    outcomes = [outcome for outcome in RESULTS if any(result.result == outcome for result in results)]
    return (
        '<form role="search" aria-label="Cases" hidden>'
        '<label>Text<input type="search" name="text" autocomplete="off"></label>'
        f'<label>Area<select name="area">{_options(areas)}</select></label>'
        f'<label>Outcome<select name="outcome">{_options(outcomes)}</select></label>'
        '<button type="reset">Show all</button> <output id="count" aria-live="polite"></output></form>'
    )


def _options(values: Iterable[str]) -> str:
    return '<option value="">all</option>' + "".join(f"<option>{escape(value)}</option>" for value in values)


def _sections(results: Sequence[Result], about: RunInfo) -> Iterable[str]:
    areas = [(area, list(found)) for area, found in groupby(results, key=lambda result: result.area)]
    for area, found in sorted(areas, key=lambda group: _broken(group[1]) == 0):
        behaviours = [list(cases) for _, cases in groupby(found, key=lambda result: result.test)]
        label = f"area-{escape(area)}"
        worst_first = sorted(behaviours, key=lambda cases: _broken(cases) == 0)
        articles = "\n".join(_behaviour(cases, about) for cases in worst_first)
        hold = sum(case.result == PASSED for case in found)
        heading = f'{escape(area)} <span class="quiet">{hold} of {len(found)} hold</span>'
        yield f'<section aria-labelledby="{label}"><h2 id="{label}">{heading}</h2>\n{articles}</section>'


def _broken(cases: Iterable[Result]) -> int:
    return sum(case.result in (ERROR, FAILED) for case in cases)


def _behaviour(cases: list[Result], about: RunInfo) -> str:
    first = cases[0]
    name = escape(first.test.rpartition("::")[2].removeprefix("test_"))
    says = next((case.summary for case in cases if case.summary), "")
    source = next((case.source for case in cases if case.source), "")
    worst = min((case.result for case in cases), key=RESULTS.index)
    linked = f'<a href="{escape(source)}">{escape(source)}</a>' if source.startswith(("https://", "http://")) else ""
    text = escape(f"{first.test} {says}")
    marked = ' class="broken"' if _broken(cases) else ""
    return (
        f'<article{marked} data-area="{escape(first.area)}" data-text="{text}"><h3>{name}: {_outcome(worst)}</h3>'
        f'<p>{escape(says)}</p><p class="quiet">{linked}</p>{"".join(_case(case, about) for case in cases)}</article>'
    )


def _outcome(outcome: str) -> str:
    return f'<span class="outcome {outcome.replace(" ", "-")}">{outcome}</span>'


def _case(case: Result, about: RunInfo) -> str:
    opened = " open" if case.result in (ERROR, FAILED) else ""
    name = escape(case.parameter or case.test.rpartition("::")[2])
    told = case.cause != "; ".join(case.differences)  # of a fact that no probe found out, they are all there is
    cause = f"<p>{escape(case.cause)}</p>" if case.cause and told else ""
    known = f"<p>Known: {escape(case.known_deviation)}</p>" if case.known_deviation else ""
    expired = f"<p>Was known: {escape(case.expired_deviation)}</p>" if case.expired_deviation else ""
    probes = "".join(map(_probe, enumerate(case.probes, start=1)))
    kept = f'<p><a href="{quote(case.evidence)}/">Evidence kept of it</a></p>' if case.evidence else ""
    again = f"<h4>Ask this case alone</h4><pre>{escape(about.command(case.id))}</pre>"
    return (
        f'<details data-outcome="{case.result}"{opened}><summary>{name}: {_outcome(case.result)}</summary>'
        f"{cause}{known}{expired}{probes or _asked(case)}{kept}{again}</details>"
    )


def _probe(numbered: tuple[int, Result]) -> str:
    """Show one of several questions; those that came out as documented are folded."""
    number, asked = numbered
    opened = "" if asked.result == PASSED else " open"
    cause = f"<p>{escape(asked.cause)}</p>" if asked.cause else ""
    label = f"Question {number}, {escape(asked.seen or asked.client)}: {_outcome(asked.result)}"
    return f'<details class="probe"{opened}><summary>{label}</summary>{cause}{_asked(asked)}</details>'


def _asked(case: Result) -> str:
    differs = "".join(f"<li>{escape(difference)}</li>" for difference in case.differences)
    return f"{f'<ul>{differs}</ul>' if differs else ''}{_way(way_of(case))}{_evidence(case)}"


def _way(stops: Sequence[Stop]) -> str:
    if not stops:
        return ""
    items = "".join(map(_stop, stops))
    return f'<ol class="way" aria-label="The way of the request, and what each saw of it">{items}</ol>'


def _stop(stop: Stop) -> str:
    kinds = [kind for kind, so in (("silent", not stop.saw), ("differs", stop.differs)) if so]
    marked = f' class="{" ".join(kinds)}"' if kinds else ""
    differs = "<em>not as documented</em> " if stop.differs else ""
    return f"<li{marked}><strong>{stop.name}</strong>{differs}{escape(stop.saw or stop.silence)}</li>"


def _evidence(case: Result) -> str:
    texts = {
        "Asked with": case.probe,
        "Documented outcome": case.expected,
        "The sidecar's access log": case.sidecar,
        "The gateway's access log": case.gateway,
        "The forward proxy's log": case.forward_proxy,
    }
    return "".join(f"<h4>{what}</h4><pre>{escape(text)}</pre>" for what, text in texts.items() if text)
