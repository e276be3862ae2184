"""The progress of a run in one line: `dns 12/14 · 163 of 363 · 2 failed · 41 s`, counting parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pytest_istio_egress.report.results import area_of


class ProgressLine:
    """Counts finished parameters; `ids` are those of all that will run."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.total = Counter(map(area_of, ids))
        self.finished: Counter[str] = Counter()
        self.failed: set[str] = set()
        self.area = ""
        self.phase = ""
        self.starting = ""
        """How far the start of the embedded cluster is, which has a clock of its own; empty where none starts."""

    def report(self, nodeid: str, when: str, *, failed: bool) -> None:
        """Count a report; a parameter is finished with its teardown, or where its worker crashed (another phase)."""
        self.area = area_of(nodeid)
        if failed:
            self.failed.add(nodeid)
        if when not in ("setup", "call"):
            self.finished[self.area] += 1

    def line(self, seconds: float) -> str:
        """Return the line: what is being prepared, later the area of the latest test; and all finished parameters.

        While the embedded cluster starts, nothing is counted.
        """
        if self.starting:
            return self.starting
        area = f"{self.area} {self.finished[self.area]}/{self.total[self.area]}" if self.area else self.phase
        parts = [area, f"{self.finished.total()} of {self.total.total()}"]
        if self.failed:
            parts.append(f"{len(self.failed)} failed")
        whole = int(seconds)
        return " · ".join([*parts, f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"])
