"""The releases of Istio that the whole suite was run on; demonstrations/releases/releases.py writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from pytest_istio_egress.model.istio_versions import release
from pytest_istio_egress.model.result_names import ERROR, FAILED

FILE = Path(__file__).parent / "release_runs.yaml"


@dataclass(frozen=True, kw_only=True)
class ReleaseRun:
    """One run of the whole suite on one release of Istio."""

    asked: str
    """What the embedded cluster was started with: a release (1.30) or a tag (1.28.10)."""
    istio: str
    """The version that istiod reports."""
    envoy: str
    """The version of upstream Envoy that the proxies ran."""
    day: str
    """The day of the run, such as 2026-11-27."""
    seconds: int
    results: Mapping[str, int]
    """The number of parameters by result."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """The number of skipped parameters by reason."""
    unsuccessful: tuple[str, ...] = ()
    """The ids of the parameters that failed or had an error."""
    notes: tuple[str, ...] = ()
    """What the embedded cluster had to replace: requirements that were not served, another Envoy."""

    @property
    def line(self) -> str:
        """The release without its patch number, such as 1.28."""
        numbers = release(self.asked)
        return self.asked if numbers is None else f"{numbers[0]}.{numbers[1]}"

    @property
    def passed(self) -> bool:
        """Whether no parameter failed or had an error."""
        return not (self.results.get(FAILED) or self.results.get(ERROR))


def release_runs(file: Path = FILE) -> list[ReleaseRun]:
    """Return the runs, the oldest release first."""
    entries = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    runs = [ReleaseRun(**{**entry, "asked": asked}) for asked, entry in (entries or {}).items()]
    return sorted(runs, key=lambda run: [int(part) for part in run.asked.split("-")[0].split(".") if part.isdigit()])


def passed_releases(file: Path = FILE) -> dict[str, str]:
    """Return the releases (1.28) on which nothing failed, each with the newest version that was run (1.28.10)."""
    return {run.line: run.asked for run in release_runs(file) if run.passed}
