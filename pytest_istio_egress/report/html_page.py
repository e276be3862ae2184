"""A run as one self-contained HTML page: every parameter, the evidence of each hop, search and filters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED, RESULTS
from pytest_istio_egress.redaction import redact
from pytest_istio_egress.report.document import Run, RunInfo
from pytest_istio_egress.report.matrix import UNSTEADY
from pytest_istio_egress.report.request_path import Stop, request_path
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


def clean(text: str) -> str:
    """Return a text for HTML, without secrets. Not the whole page at once: a rule would take markup for a secret."""
    return escape(redact(text))


def page_text(run: Run) -> str:
    """Return the page. It loads nothing, works as a local file, and shows everything without its script too."""
    folder = Path(__file__).parent
    ordered = run.ordered
    return PAGE.format(
        title="Istio egress conformance",
        style=(folder / "html_page.css").read_text(encoding="utf-8"),
        script=(folder / "html_page.js").read_text(encoding="utf-8"),
        facts=_facts(run),
        filters=_filters(ordered),
        sections="\n".join(_sections(ordered, run.info)),
    )


def _facts(run: Run) -> str:
    info = run.info
    facts = {
        "Target": f"{info.context} ({info.target})" if info.context else info.target,
        "Kubernetes": info.kubernetes,
        "Istio": info.istio,
        "Envoy": ", ".join(run.envoy),
        "Outbound traffic policy": info.outbound_mode,
        "Egress gateway": info.gateway,
        "Missing features": "; ".join(f"{name}: {reason}" for name, reason in sorted(info.features.items()) if reason),
        "Notes": "; ".join(info.notes),
        "Suite": info.suite,
        "Tests": f"{run.tests} ({len(run.results)} parameters)" if run.results else "",
        "Began": info.began,
        "Duration": f"{info.seconds:.0f} s",
        "Command": info.reproduce if info.arguments else "",
    }
    rows = "".join(f"<dt>{name}</dt><dd>{clean(value)}</dd>" for name, value in facts.items() if value)
    stopped = f"This run was stopped before its end: {info.stopped or 'no reason given'}. Results are missing."
    banner = "" if info.complete else f'<p class="stopped" role="alert">{clean(stopped)}</p>'
    counts = "".join(f"<li><b>{run.count(name)}</b> {_result(name)}</li>" for name in RESULTS if run.count(name))
    counts += f"<li><b>{run.unsteady}</b> {_result(UNSTEADY)}</li>" if run.unsteady else ""
    counted = f'<ul class="counts" aria-label="Parameters by result">{counts}</ul>' if counts else ""
    return f'{banner}{counted}<dl class="facts">{rows}</dl>'


def _filters(results: Sequence[Result]) -> str:
    areas = sorted({result.area for result in results})
    names = [name for name in RESULTS if any(result.result == name for result in results)]
    names += [UNSTEADY] if any(result.unsteady for result in results) else []
    return (
        '<form role="search" aria-label="Parameters" hidden>'
        '<label>Text<input type="search" name="text" autocomplete="off"></label>'
        f'<label>Area<select name="area">{options(areas)}</select></label>'
        f'<label>Result<select name="result">{options(names)}</select></label>'
        '<button type="reset">Show all</button> <output id="count" aria-live="polite"></output></form>'
    )


def options(values: Iterable[str]) -> str:
    """Return the options of a filter: all values, then each."""
    return '<option value="">all</option>' + "".join(f"<option>{clean(value)}</option>" for value in values)


def _sections(results: Sequence[Result], info: RunInfo) -> Iterable[str]:
    areas = [(area, list(group)) for area, group in groupby(results, key=lambda result: result.area)]
    for area, of_area in sorted(areas, key=lambda group: _broken(group[1]) == 0):
        tests = [list(group) for _, group in groupby(of_area, key=lambda result: result.test)]
        label = f"area-{clean(area)}"
        worst_first = sorted(tests, key=lambda results: _broken(results) == 0)
        articles = "\n".join(_test(results, info) for results in worst_first)
        passed = sum(result.result == PASSED for result in of_area)
        heading = f'{clean(area)} <span class="quiet">{passed} of {len(of_area)} passed</span>'
        yield f'<section aria-labelledby="{label}"><h2 id="{label}">{heading}</h2>\n{articles}</section>'


def _broken(results: Iterable[Result]) -> int:
    return sum(result.result in (ERROR, FAILED) for result in results)


def _test(results: list[Result], info: RunInfo) -> str:
    first = results[0]
    name = clean(first.test.rpartition("::")[2].removeprefix("test_"))
    summary = next((result.summary for result in results if result.summary), "")
    source = next((result.source for result in results if result.source), "")
    worst = min((result.result for result in results), key=RESULTS.index)
    linked = f'<a href="{clean(source)}">{clean(source)}</a>' if source.startswith(("https://", "http://")) else ""
    text = clean(f"{first.test} {summary}")
    marked = ' class="broken"' if _broken(results) else ""
    parameters = "".join(_parameter(result, info) for result in results)
    return (
        f'<article{marked} data-area="{clean(first.area)}" data-text="{text}"><h3>{name}: {_result(worst)}</h3>'
        f'<p>{clean(summary)}</p><p class="quiet">{linked}</p>{parameters}</article>'
    )


def _result(name: str) -> str:
    return f'<span class="result {name.replace(" ", "-")}">{name}</span>'


def _parameter(result: Result, info: RunInfo) -> str:
    opened = " open" if result.result in (ERROR, FAILED) else ""
    name = clean(result.parameter or result.test.rpartition("::")[2])
    # The cause of a check that no probe was sent for is nothing but its differences.
    repeated = result.cause == "; ".join(map(str, result.differences))
    cause = f"<p>{clean(result.cause)}</p>" if result.cause and not repeated else ""
    known = f"<p>Known deviation: {clean(result.known_deviation)}</p>" if result.known_deviation else ""
    expired = f"<p>Expired: {clean(result.expired_deviation)}</p>" if result.expired_deviation else ""
    probes = "".join(map(_probe, enumerate(result.probes, start=1)))
    files = f'<p><a href="{quote(redact(result.evidence))}/">Evidence files</a></p>' if result.evidence else ""
    unsteady = _unsteady(result)
    again = f"<h4>Run this parameter alone</h4><pre>{clean(info.command(result.id))}</pre>"
    return (
        f'<details data-result="{result.result}"{" data-unsteady" if unsteady else ""}{opened}>'
        f"<summary>{name}: {_result(result.result)}{f' {_result(UNSTEADY)}' if unsteady else ''}</summary>"
        f"{cause}{unsteady}{known}{expired}{probes or _evidence(result)}{files}{again}</details>"
    )


def _probe(numbered: tuple[int, Result]) -> str:
    """Show one of several probes; those that passed are collapsed."""
    number, probe = numbered
    opened = "" if probe.result == PASSED else " open"
    cause = f"<p>{clean(probe.cause)}</p>" if probe.cause else ""
    label = f"Probe {number}, {clean(probe.seen or probe.client)}: {_result(probe.result)}"
    unsteady = _unsteady(probe)
    return f'<details class="probe"{opened}><summary>{label}</summary>{cause}{unsteady}{_evidence(probe)}</details>'


def _unsteady(result: Result) -> str:
    """Show the answers that were not as expected although others were."""
    items = "".join(f"<li>{clean(line)}</li>" for line in result.unsteady)
    return f"<p>Not all answers were as expected:</p><ul>{items}</ul>" if items else ""


def _evidence(result: Result) -> str:
    differences = "".join(f"<li>{clean(str(difference))}</li>" for difference in result.differences)
    return f"{f'<ul>{differences}</ul>' if differences else ''}{_path(request_path(result))}{_texts(result)}"


def _path(stops: Sequence[Stop]) -> str:
    if not stops:
        return ""
    items = "".join(map(_stop, stops))
    return f'<ol class="path" aria-label="The path of the request, and what each hop observed">{items}</ol>'


def _stop(stop: Stop) -> str:
    classes = [name for name, applies in (("without-trace", not stop.observed), ("differs", stop.differs)) if applies]
    marked = f' class="{" ".join(classes)}"' if classes else ""
    differs = "<em>differs</em> " if stop.differs else ""
    return f"<li{marked}><strong>{stop.name}</strong>{differs}{clean(stop.observed or stop.without_trace)}</li>"


def _texts(result: Result) -> str:
    texts = {
        "Probe": result.probe,
        "Expected outcome": result.expected,
        "Access log of the sidecar": result.sidecar.line if result.sidecar else "",
        "Access log of ztunnel": result.ztunnel.line if result.ztunnel else "",
        "Access log of the waypoint": result.waypoint.line if result.waypoint else "",
        "Access log of the egress gateway": result.gateway.line if result.gateway else "",
        "Access log of the forward proxy": result.forward_proxy.line if result.forward_proxy else "",
    }
    return "".join(f"<h4>{title}</h4><pre>{clean(text)}</pre>" for title, text in texts.items() if text)
