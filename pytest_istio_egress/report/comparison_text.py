"""The comparison of two runs as text: lines for a terminal, Markdown for a pull request."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from pytest_istio_egress.report.comparison import CHANGED, KINDS, WORSE, Change
from pytest_istio_egress.report.markdown import cell

HEADINGS = {
    "worse": "worse",
    "gone": "gone: not part of the later run",
    "changed": "changed, with the same or no worse result",
    "new": "new",
    "better": "better",
}


def terminal_lines(changes: Sequence[Change], environment: Sequence[str], width: int) -> list[str]:
    """Return the lines of a table: the changes by kind, each with its differences below it.

    `environment` are the differences between the clusters, `width` is that of the terminal.
    """
    lines = list(environment)
    for kind in KINDS:
        of_kind = [change for change in changes if change.kind == kind]
        if of_kind:
            lines.append(f"{HEADINGS[kind]} ({len(of_kind)})")
        for change in of_kind:
            lines.append(f"  {change.id}")
            for difference in change.differences:
                lines += textwrap.wrap(difference, max(width, 40), initial_indent=" " * 6, subsequent_indent=" " * 8)
    return [*lines, counts(changes)]


def counts(changes: Sequence[Change]) -> str:
    """Return the number of changes of each kind in one line: `2 worse, 1 new`."""
    numbers = [(kind, sum(change.kind == kind for change in changes)) for kind in KINDS]
    return ", ".join(f"{number} {kind}" for kind, number in numbers if number) or "no differences"


def verdict(changes: Sequence[Change], fail_on: Sequence[str]) -> str:
    """Return the verdict in one line: it fails where there is a change of one of the kinds `fail_on`."""
    policy = f"--fail-on {','.join(fail_on) or 'none'}"
    against = [change for change in changes if change.kind in fail_on]
    return f"fails: {counts(against)} ({policy})" if against else f"passes ({policy})"


def markdown_text(changes: Sequence[Change], environment: Sequence[str]) -> str:
    """Return a page: the differences between the clusters, then the changes by kind, in part collapsed."""
    parts = ["## Comparison of two egress runs", "", f"**{counts(changes)}**", ""]
    parts += [f"- {cell(line)}" for line in environment]
    for kind in KINDS:
        of_kind = [change for change in changes if change.kind == kind]
        if not of_kind:
            continue
        opened = " open" if kind in (WORSE, CHANGED) else ""
        parts += ["", f"<details{opened}><summary>{HEADINGS[kind]} ({len(of_kind)})</summary>", ""]
        parts += ["| parameter | differences |", "| --- | --- |"]
        parts += [f"| {cell(change.id)} | {'<br>'.join(map(cell, change.differences))} |" for change in of_kind]
        parts += ["", "</details>"]
    return "\n".join(parts) + "\n"
