"""Known deviations: what an entry covers, how long, and what is wrong with a file that can't be used."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pytest_istio_egress.report.conformance_report import About, Run
from pytest_istio_egress.report.known_deviations import Deviation, DeviationsError, Known, read_deviations
from pytest_istio_egress.report.results import CANNOT_BE_ASKED, DOES_NOT_HOLD, ERROR, HOLDS, KNOWN, Result

TODAY = date(2026, 11, 21)
ID = "conformance/a/test_x.py::test_x[slow-80]"


def deviation(case: str, expires: date = TODAY) -> Deviation:
    return Deviation(case=case, reason="ticket 1", expires=expires)


@pytest.mark.parametrize(
    ("pattern", "covers"),
    [
        (ID, True),
        ("conformance/a/test_x.py::test_x", True),
        ("conformance/a/*", True),
        ("*::test_x[slow-*]", True),
        ("*[slow-8?]", True),
        ("conformance/a/test_x.py::test_", False),
        ("conformance/a", False),
        ("*[slow-8]", False),
        ("*::test_x[sl-80]", False),
        ("conformance/a/test_x.py::test_x[losw-80]", False),
    ],
)
def test_covers(pattern: str, *, covers: bool) -> None:
    assert deviation(pattern).covers(ID) is covers


def test_grace_ends_after_its_last_day() -> None:
    last = Known(today=TODAY, deviations=(deviation(ID),))
    assert "ticket 1" in (last.reason(ID) or "")
    assert last.expired(ID) is None
    over = Known(today=date(2026, 11, 22), deviations=(deviation(ID),))
    assert over.reason(ID) is None
    assert "2026-11-21" in (over.expired(ID) or "")
    renewed = Known(today=date(2026, 11, 22), deviations=(deviation(ID), deviation("*", date(2027, 1, 1))))
    assert renewed.reason(ID)
    assert renewed.expired(ID) is None


def test_idle_entries() -> None:
    known = Known(today=TODAY, deviations=(deviation(ID), deviation("*none*"), deviation("*y*")))
    lines = known.idle([Result(case=ID, outcome=HOLDS), Result(case="y", outcome=KNOWN)])
    assert len(lines) == 2
    assert "remove" in lines[0]
    assert "*none*" in lines[1]


def test_baseline() -> None:
    before = [
        Result(case="d/t.py::deviates", outcome=DOES_NOT_HOLD),
        Result(case="d/t.py::broke", outcome=ERROR),
        Result(case="d/t.py::held", outcome=HOLDS),
        Result(case="e/t.py::held", outcome=HOLDS),
    ]
    known = Known(today=TODAY, baseline=Run(about=About(suite="1"), results=before), baseline_name="b.yaml")
    assert "b.yaml" in (known.reason("d/t.py::deviates") or "")
    assert known.reason("d/t.py::broke") is None
    assert known.reason("d/t.py::held") is None
    now = [before[0], before[1], Result(case="d/t.py::held", outcome=CANNOT_BE_ASKED, cause="no gateway")]
    lacking = known.lacking(now, asked=None)
    assert [line.partition(": ")[0] for line in lacking] == ["d/t.py::held", "e/t.py::held"]
    assert "no gateway" in lacking[0]
    assert len(known.lacking(now, asked=["d"])) == 1
    assert len(known.lacking(now, asked=["e/t.py"])) == 2
    assert known.lacking(before, asked=None) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "deviations:"),
        ("- case: x", "deviations:"),
        ("deviations: [", "not YAML"),
        ("deviations: [7]", "entry 1"),
        ("deviations: [{case: x, reason: y}]", "entry 1 lacks expires"),
        ("deviations: [{case: x, reason: y, expires: soon}]", "2027-01-31"),
        ("deviations: [{case: x, reason: y, expires: 2027-01-31 10:00:00}]", "2027-01-31"),
        ("deviations: [{case: x, reason: '', expires: 2027-01-31}]", "reason"),
        ("deviations: [{case: 1, reason: y, expires: 2027-01-31}]", "case"),
        ("deviations: [{case: x, reason: y, expires: 2027-01-31, until: 1}]", "until"),
        ("deviations: [{case: x, reason: y, expires: 2027-02-31}]", "not YAML"),
    ],
)
def test_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "known.yaml"
    path.write_text(text)
    with pytest.raises(DeviationsError) as refused:
        read_deviations(path)
    assert told in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_read(tmp_path: Path) -> None:
    path = tmp_path / "known.yaml"
    path.write_text("deviations:\n- case: a*\n  reason: because\n  expires: 2027-01-31\n")
    assert read_deviations(path) == (Deviation(case="a*", reason="because", expires=date(2027, 1, 31)),)
    path.write_text("deviations: []\n")
    assert read_deviations(path) == ()
    with pytest.raises(DeviationsError, match="No such file"):
        read_deviations(tmp_path / "none")
