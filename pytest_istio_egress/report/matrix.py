"""The summary of a run as lines of styled text: one row per test, by area; independent of the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, PASSED, RESULTS, SKIPPED
from pytest_istio_egress.report.results import Result

UNSTEADY = "unsteady"
"""Said of a parameter that passed, but not with each of its answers."""
STYLES = {PASSED: "green", FAILED: "red", ERROR: "red", KNOWN_DEVIATION: "yellow", SKIPPED: "yellow"}


class Text(NamedTuple):
    """A piece of a line, with pytest's name of its style: green, red, yellow, bold or none."""

    text: str
    style: str = ""


Line = list[Text]


class Marks(NamedTuple):
    """One character per result."""

    passed: str
    failed: str
    skipped: str
    error: str
    known_deviation: str

    def of(self, result: str) -> str:
        """Return the mark of a result."""
        return {
            PASSED: self.passed,
            FAILED: self.failed,
            SKIPPED: self.skipped,
            KNOWN_DEVIATION: self.known_deviation,
        }.get(result, self.error)


UNICODE = Marks("✓", "✗", "–", "!", "≈")  # noqa: RUF001  # the dash is meant as one
ASCII = Marks("+", "x", "-", "!", "~")


def matrix(results: Sequence[Result], *, width: int, marks: Marks = UNICODE) -> list[Line]:
    """Draw one row per test, areas and tests with failures first, each failure with its cause below it.

    timeouts
      ✗ http_timeout      ✓ control  ✗ slow
          slow: Envoy waited for 3 s: the VirtualService does not apply to the client
      ✓ retries           4 of 4
    """
    lines: list[Line] = []
    label_width = _label_width(results, width)
    for area, of_area in _worst_first(results, key=lambda result: result.area):
        lines.append([Text(area, "bold")])
        for test, of_test in _worst_first(of_area, key=lambda result: result.test):
            lines += _row(test, of_test, width, label_width, marks)
    return lines


def reasons(results: Iterable[Result], *, width: int) -> list[Line]:
    """Draw the reasons of skips: one entry per reason, with the number of parameters."""
    counts: dict[str, int] = {}
    for result in results:
        if result.result == SKIPPED:
            counts[result.cause] = counts.get(result.cause, 0) + 1
    lines: list[Line] = []
    for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        lead = f"  {count:>3}  "
        lines += [[Text(line)] for line in _wrapped(lead, reason or "no reason was given", width)]
    return [[Text("skipped", "yellow")], *lines] if lines else []


def totals(results: Sequence[Result], seconds: float) -> Line:
    """Draw the last line: `1 failed, 374 passed (3 unsteady), 2 skipped in 87.0 s`; it counts as pytest does."""
    plurals = {KNOWN_DEVIATION: "known deviations", ERROR: "errors"}
    line: Line = []
    for name in (FAILED, ERROR, KNOWN_DEVIATION, PASSED, SKIPPED):
        count = sum(result.result == name for result in results)
        if count or name == PASSED:
            label = name if count == 1 else plurals.get(name, name)
            line += [Text(", ") if line else Text(""), Text(f"{count} {label}", STYLES[name])]
            unsteady = sum(result.passed_unsteady for result in results) if name == PASSED else 0
            line += [Text(f" ({unsteady} {UNSTEADY})", "yellow")] if unsteady else []
    return [*line, Text(f" in {seconds:.1f} s")]


def _worst_first(results: Iterable[Result], key: Callable[[Result], str]) -> list[tuple[str, list[Result]]]:
    groups = [(name, list(group)) for name, group in groupby(sorted(results, key=key), key=key)]
    return sorted(groups, key=lambda group: (_broken(group[1]) == 0, group[0]))


def _broken(results: Iterable[Result]) -> int:
    return sum(result.result in (ERROR, FAILED) for result in results)


def _label(test: str) -> str:
    return test.rpartition("::")[2].removeprefix("test_")


def _label_width(results: Iterable[Result], width: int) -> int:
    """Return the width of the first column: that of the longest label, but at most a third of the line."""
    return min(max((len(_label(result.test)) for result in results), default=0), width // 3)


def _row(test: str, results: list[Result], width: int, label_width: int, marks: Marks) -> list[Line]:
    worst = min((result.result for result in results), key=RESULTS.index)
    name = _label(test)
    rows: list[Line] = [[Text("  "), Text(marks.of(worst), STYLES[worst]), Text(f" {name}")]]
    cells = _cells(results, marks)
    if cells:
        indent = label_width + 6
        if len(name) > label_width:
            rows.append([Text(" " * indent)])
        else:
            rows[0].append(Text(" " * (indent - 4 - len(name))))
        _fill(rows, cells, indent, width)
    return rows + _causes(results, width)


def _causes(results: list[Result], width: int) -> list[Line]:
    """Draw the causes of failures, and unsteady answers; parameters with the same cause share a line."""
    parameters: dict[str, list[str]] = {}
    for result in results:
        if result.result in (ERROR, FAILED):
            cause = result.cause or result.seen or result.result
            expired = f" ({result.expired_deviation})" if result.expired_deviation else ""
            unsteady = f" ({UNSTEADY}: {'; '.join(result.unsteady)})" if result.unsteady else ""
            parameters.setdefault(cause + unsteady + expired, []).append(result.parameter)
        elif result.result == KNOWN_DEVIATION:
            parameters.setdefault(f"known deviation: {result.known_deviation}", []).append(result.parameter)
        elif result.passed_unsteady:
            parameters.setdefault(f"{UNSTEADY}: {'; '.join(result.unsteady)}", []).append(result.parameter)
    lines: list[Line] = []
    for cause, names in parameters.items():
        named = ", ".join(name for name in names if name)
        lines += [[Text(line)] for line in _wrapped(" " * 6, f"{named}: {cause}" if named else cause, width)]
    return lines


def _cells(results: list[Result], marks: Marks) -> list[Line]:
    """Return one cell per parameter; only their number where all of them passed, with each answer."""
    if not any(result.parameter for result in results):
        return []
    if all(result.result == PASSED and not result.unsteady for result in results):
        return [[Text(f"{len(results)} of {len(results)}")]]
    return [
        [
            Text(marks.of(result.result), STYLES[result.result]),
            Text(f" {result.parameter}"),
            *([Text(f" ({UNSTEADY})", "yellow")] if result.passed_unsteady else []),
        ]
        for result in results
    ]


def _fill(rows: list[Line], cells: list[Line], indent: int, width: int) -> None:
    """Put cells into the last row, and into further rows where that one is full."""
    used = indent
    for cell in cells:
        size = sum(len(piece.text) for piece in cell)
        if used > indent and used + 2 + size > width:
            rows.append([Text(" " * indent)])
            used = indent
        gap = [Text("  ")] if used > indent else []
        rows[-1] += [*gap, *cell]
        used += 2 * len(gap) + size


def _wrapped(lead: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        max(width, len(lead) + 20),
        initial_indent=lead,
        subsequent_indent=" " * 8,
        break_on_hyphens=False,
    )
