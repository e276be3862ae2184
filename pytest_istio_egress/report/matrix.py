"""The summary of a run as lines of styled text: one row per behaviour, by area; knows no terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, PASSED, RESULTS, SKIPPED
from pytest_istio_egress.report.results import Result

STYLES = {PASSED: "green", FAILED: "red", ERROR: "red", KNOWN_DEVIATION: "yellow", SKIPPED: "yellow"}


class Text(NamedTuple):
    """A piece of a line, with pytest's name of its style: green, red, yellow, bold or none."""

    text: str
    style: str = ""


Line = list[Text]


class Marks(NamedTuple):
    """One character per outcome."""

    holds: str
    does_not_hold: str
    cannot_be_asked: str
    error: str
    known: str

    def of(self, outcome: str) -> str:
        """Return the mark of an outcome."""
        return {
            PASSED: self.holds,
            FAILED: self.does_not_hold,
            SKIPPED: self.cannot_be_asked,
            KNOWN_DEVIATION: self.known,
        }.get(outcome, self.error)


UNICODE = Marks("✓", "✗", "–", "!", "≈")  # noqa: RUF001  # the dash is meant as a mark of its own
ASCII = Marks("+", "x", "-", "!", "~")


def matrix(results: Sequence[Result], *, width: int, marks: Marks = UNICODE) -> list[Line]:
    """Draw the rows: areas and behaviours with something to look at first, each failure with its cause below it.

    timeouts
      ✗ http_timeout      ✓ control  ✗ slow
          slow: Envoy waited for 3 s: the VirtualService does not apply to the client
      ✓ retries           4 of 4
    """
    lines: list[Line] = []
    label_width = _label_width(results, width)
    for area, found in _worst_first(results, key=lambda result: result.area):
        lines.append([Text(area, "bold")])
        for behaviour, cases in _worst_first(found, key=lambda result: result.test):
            lines += _row(behaviour, cases, width, label_width, marks)
    return lines


def reasons(results: Iterable[Result], *, width: int) -> list[Line]:
    """Draw why cases could not be asked: one entry per reason, with the number of cases."""
    counts: dict[str, int] = {}
    for result in results:
        if result.result == SKIPPED:
            counts[result.cause] = counts.get(result.cause, 0) + 1
    lines: list[Line] = []
    for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        lead = f"  {count:>3}  "
        lines += [[Text(line)] for line in _wrapped(lead, reason or "no reason was given", width)]
    return [[Text("cannot be asked here", "yellow")], *lines] if lines else []


def totals(results: Sequence[Result], seconds: float) -> Line:
    """Draw the last line: how many cases ended how, and the time that the run took."""
    words = {PASSED: "hold", FAILED: "do not hold", KNOWN_DEVIATION: "known deviations", ERROR: "errors"}
    line: Line = []
    for outcome in (FAILED, ERROR, KNOWN_DEVIATION, SKIPPED, PASSED):
        count = sum(result.result == outcome for result in results)
        if count or outcome == PASSED:
            word = outcome if count == 1 else words.get(outcome, outcome)
            line += [Text(", ") if line else Text(""), Text(f"{count} {word}", STYLES[outcome])]
    return [*line, Text(f" in {seconds:.1f} s")]


def _worst_first(results: Iterable[Result], key: Callable[[Result], str]) -> list[tuple[str, list[Result]]]:
    groups = [(name, list(group)) for name, group in groupby(sorted(results, key=key), key=key)]
    return sorted(groups, key=lambda group: (_broken(group[1]) == 0, group[0]))


def _broken(results: Iterable[Result]) -> int:
    return sum(result.result in (ERROR, FAILED) for result in results)


def _label(behaviour: str) -> str:
    return behaviour.rpartition("::")[2].removeprefix("test_")


def _label_width(results: Iterable[Result], width: int) -> int:
    """Return the width of the first column: as wide as it must be, but never more than a third of the line."""
    return min(max((len(_label(result.test)) for result in results), default=0), width // 3)


def _row(behaviour: str, cases: list[Result], width: int, label_width: int, marks: Marks) -> list[Line]:
    worst = min((case.result for case in cases), key=RESULTS.index)
    name = _label(behaviour)
    rows: list[Line] = [[Text("  "), Text(marks.of(worst), STYLES[worst]), Text(f" {name}")]]
    cells = _cells(cases, marks)
    if cells:
        indent = label_width + 6
        if len(name) > label_width:
            rows.append([Text(" " * indent)])
        else:
            rows[0].append(Text(" " * (indent - 4 - len(name))))
        _fill(rows, cells, indent, width)
    return rows + _causes(cases, width)


def _causes(cases: list[Result], width: int) -> list[Line]:
    """Say why cases broke; those that broke for the same reason share a sentence."""
    broken: dict[str, list[str]] = {}
    for case in cases:
        if case.result in (ERROR, FAILED):
            why = case.cause or case.seen or case.result
            broken.setdefault(f"{why} ({case.expired_deviation})" if case.expired_deviation else why, []).append(
                case.parameter
            )
        elif case.result == KNOWN_DEVIATION:
            broken.setdefault(f"known deviation: {case.known_deviation}", []).append(case.parameter)
    lines: list[Line] = []
    for cause, parameters in broken.items():
        named = ", ".join(name for name in parameters if name)
        lines += [[Text(line)] for line in _wrapped(" " * 6, f"{named}: {cause}" if named else cause, width)]
    return lines


def _cells(cases: list[Result], marks: Marks) -> list[Line]:
    """Return one cell per parameter set; where all of them hold their number says it."""
    if not any(case.parameter for case in cases):
        return []
    if all(case.result == PASSED for case in cases):
        return [[Text(f"{len(cases)} of {len(cases)}")]]
    return [[Text(marks.of(case.result), STYLES[case.result]), Text(f" {case.parameter}")] for case in cases]


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
