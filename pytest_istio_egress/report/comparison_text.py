"""The comparison of two runs as its readers want it: lines for a terminal, Markdown for a pull request."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from pytest_istio_egress.report.comparison import CHANGED, KINDS, WORSE, Change
from pytest_istio_egress.report.markdown import cell

HEADINGS = {
    "worse": "worse",
    "gone": "gone: asked before, not any more",
    "changed": "changed, with the same verdict or none that is worse",
    "new": "new",
    "better": "better",
}


def terminal_lines(changes: Sequence[Change], about: Sequence[str], width: int) -> list[str]:
    """Return the lines of a table: each kind with its cases, each case with what differs below it."""
    lines = list(about)
    for kind in KINDS:
        found = [change for change in changes if change.kind == kind]
        if found:
            lines.append(f"{HEADINGS[kind]} ({len(found)})")
        for change in found:
            lines.append(f"  {change.id}")
            for words in change.differences:
                lines += textwrap.wrap(words, max(width, 40), initial_indent=" " * 6, subsequent_indent=" " * 8)
    return [*lines, counts(changes)]


def counts(changes: Sequence[Change]) -> str:
    """Return one line: how many cases changed how."""
    numbers = [(kind, sum(change.kind == kind for change in changes)) for kind in KINDS]
    return ", ".join(f"{number} {kind}" for kind, number in numbers if number) or "nothing differs"


def verdict(changes: Sequence[Change], fail_on: Sequence[str]) -> str:
    """Return what a policy makes of the changes, in one line; `fail_on` are the kinds that it does not let pass."""
    policy = f"--fail-on {','.join(fail_on) or 'none'}"
    against = [change for change in changes if change.kind in fail_on]
    return f"fails: {counts(against)} ({policy})" if against else f"passes ({policy})"


def markdown_text(changes: Sequence[Change], about: Sequence[str]) -> str:
    """Return a page: what the meshes differ in, then a table of the changes; long ones folded away."""
    parts = ["## Egress: two runs compared", "", f"**{counts(changes)}**", ""]
    parts += [f"- {cell(line)}" for line in about]
    for kind in KINDS:
        found = [change for change in changes if change.kind == kind]
        if not found:
            continue
        opened = " open" if kind in (WORSE, CHANGED) else ""
        parts += ["", f"<details{opened}><summary>{HEADINGS[kind]} ({len(found)})</summary>", ""]
        parts += ["| case | what differs |", "| --- | --- |"]
        parts += [f"| {cell(change.id)} | {'<br>'.join(map(cell, change.differences))} |" for change in found]
        parts += ["", "</details>"]
    return "\n".join(parts) + "\n"
