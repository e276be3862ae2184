"""suite/release_runs.yaml, and the pages that follow from it: docs/releases.md and the README's table."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_istio_egress.model.istio_versions import SUPPORTED
from pytest_istio_egress.suite.release_runs import ReleaseRun, passed_releases, release_runs

ROOT = Path(__file__).parents[2]
SAVED = """\
"1.30": {istio: 1.30-dev, envoy: 1.38.3, day: 2026-11-27, seconds: 90, results: {passed: 375}}
1.28.10: {istio: 1.28.10, envoy: 1.36.4, day: 2026-11-27, seconds: 91, results: {passed: 1}, skipped: {too old: 2}}
1.9.3: {istio: 1.9.3, envoy: 1.36.4, day: 2026-11-27, seconds: 1, results: {passed: 1, failed: 1}, unsuccessful: [a|b]}
"""


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    file = tmp_path / "tested.yaml"
    file.write_text(SAVED)
    return file


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    folder = ROOT / "demonstrations" / "releases"
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return runpy.run_path(str(folder / "releases.py"))


def test_releases_are_ordered_by_number(saved: Path) -> None:
    assert [run.asked for run in release_runs(saved)] == ["1.9.3", "1.28.10", "1.30"]


def test_a_release_with_a_failure_has_not_passed(saved: Path) -> None:
    assert passed_releases(saved) == {"1.28": "1.28.10", "1.30": "1.30"}


def test_nothing_was_run(tmp_path: Path) -> None:
    assert release_runs(tmp_path / "missing.yaml") == []


def test_page_has_a_row_for_each_release_and_every_reason(saved: Path, maker: dict[str, Any]) -> None:
    page = maker["page"](release_runs(saved))
    assert "| 1.28.10 | 1.28.10 | 1.36.4 | 1 | 0 | 0 | 0 | 91 | 2026-11-27 |" in page
    assert "- 2 skipped: too old" in page
    assert "- failed or error: `a|b`" in page


def test_a_saved_release_is_read_again(saved: Path, maker: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(maker["save"].__globals__, "FILE", saved)
    monkeypatch.setitem(maker["save"].__globals__, "release_runs", lambda: release_runs(saved))
    result = ReleaseRun(
        asked="1.30", istio="1.30-dev", envoy="1.38.3", day="2026-11-28", seconds=1, results={"passed": 2}, notes=("n",)
    )
    maker["save"](result)
    assert release_runs(saved)[-1] == ReleaseRun(**{**vars(result), "notes": ["n"]})


def test_shipped_page_is_made_of_the_saved_results(maker: dict[str, Any]) -> None:
    assert (ROOT / "docs" / "releases.md").read_text(encoding="utf-8") == maker["page"](release_runs())


def test_releases_that_passed_are_supported() -> None:
    assert set(passed_releases()) <= set(SUPPORTED)


def test_readme_names_the_releases_that_passed() -> None:
    row = re.search(r"^\| Istio \|([^|]*)\|([^|]*)\|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert row
    assert row[1].strip() == f"{SUPPORTED[0]} to {SUPPORTED[-1]}"
    assert f"{', '.join(passed_releases().values()) or 'none'}: [docs/releases.md](docs/releases.md)" == row[2].strip()
