"""How far a run is, in one line: `dns 12/14 · 163 of 363 · 2 failed · 41 s`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pytest_istio_egress.report.results import area_of


class ProgressLine:
    """Counts the cases that are over; `ids` are all that will be asked."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.total = Counter(map(area_of, ids))
        self.over: Counter[str] = Counter()
        self.failed: set[str] = set()
        self.area = ""
        self.phase = ""

    def report(self, case: str, when: str, *, failed: bool) -> None:
        """Take in a report; a case is over with its tear-down, or where its worker crashed (any other phase)."""
        self.area = area_of(case)
        if failed:
            self.failed.add(case)
        if when not in ("setup", "call"):
            self.over[self.area] += 1

    def line(self, seconds: float) -> str:
        """Return the line: first what is being prepared, then the area of the latest case and all that is over."""
        where = f"{self.area} {self.over[self.area]}/{self.total[self.area]}" if self.area else self.phase
        words = [where, f"{self.over.total()} of {self.total.total()}"]
        if self.failed:
            words.append(f"{len(self.failed)} failed")
        whole = int(seconds)
        return " · ".join([*words, f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"])
