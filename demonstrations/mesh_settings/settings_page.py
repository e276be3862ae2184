"""The page docs/mesh_settings.md, from the entries, their results and the list of all other settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tried_settings import Tried

from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED, SKIPPED
from pytest_istio_egress.report.markdown import cell

COLUMNS = (PASSED, FAILED, ERROR, SKIPPED)
BASE = "as-it-is"
"""The entry without settings."""
HEAD = """\
# Settings of the mesh

Made by `python demonstrations/mesh_settings/mesh_settings.py` on the embedded cluster: every setting of `meshConfig`
(with `defaultConfig`) and of istiod's environment that touches egress, one entry of
[settings.yaml](../demonstrations/mesh_settings/settings.yaml) after the other. These meshes are right, so a failure is
a false alarm, unless the entry says why it is not. istiod and the egress gateway are restarted with the settings; then
the tests run that can notice them, which the entry names, beside some for blocked requests, rules and the gateway.
"""
OTHERS = "## Settings that do not touch egress, or were not tried"


def page(entries: Mapping[str, Tried], results: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    """Return the page: a row for each entry, what was skipped, failed or had an error, and the other settings."""
    lines = [HEAD, f"| entry | settings | changes | {' | '.join(COLUMNS)} |"]
    lines.append(f"| --- | --- | --- |{' ---: |' * len(COLUMNS)}")
    lines += [_row(tried, results.get(name)) for name, tried in entries.items()]
    usual = results.get(BASE, {}).get("skipped", {})
    for name, tried in entries.items():
        if details := list(_details(tried, results.get(name, {}), usual)):
            lines += ["", f"## {name}", "", *details]
    lines += ["", OTHERS, "", "| settings | reason |", "| --- | --- |"]
    lines += [f"| {', '.join(f'`{name}`' for name in each['settings'])} | {cell(each['reason'])} |" for each in others]
    return "\n".join(lines) + "\n"


def _row(tried: Tried, result: Mapping[str, Any] | None) -> str:
    settings = "<br>".join(f"`{path}: {' '.join(value.split())}`" for path, value in tried.paths())
    counted = (result or {}).get("results", {})
    counts = [str(counted.get(name, 0)) for name in COLUMNS] if result else ["not run", *[""] * (len(COLUMNS) - 1)]
    cells = [tried.name, settings.replace("|", r"\|"), cell(tried.changes), *counts]
    return f"| {' | '.join(cells)} |"


def _details(tried: Tried, result: Mapping[str, Any], usual: Mapping[str, int]) -> Iterator[str]:
    if tried.options:
        yield f"- Options: `{' '.join(tried.options)}`"
    if tried.note and result:
        yield f"- {cell(tried.note)}"
    if result.get("stopped"):
        yield f"- {cell(result['stopped'])}"
    for reason, number in sorted(result.get("skipped", {}).items()):
        if tried.name == BASE or usual.get(reason) != number:
            yield f"- {number} skipped: {cell(reason)}"
    for name, cause in result.get("wrong", {}).items():
        yield f"- failed or error: `{name}`: {cell(cause)}"
