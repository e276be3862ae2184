"""Known deviations: what an entry covers, how long, and what is wrong with a file that can't be used."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, PASSED, SKIPPED
from pytest_istio_egress.report.document import Run, RunInfo
from pytest_istio_egress.report.known_deviations import AcceptedDeviations, Deviation, DeviationsError, read_deviations
from pytest_istio_egress.report.results import Result

TODAY = date(2026, 11, 21)
ID = "conformance/a/test_x.py::test_x[slow-80]"


def deviation(case: str, expires: date = TODAY) -> Deviation:
    return Deviation(test=case, reason="ticket 1", expires=expires)


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
    last = AcceptedDeviations(today=TODAY, deviations=(deviation(ID),))
    assert "ticket 1" in (last.reason(ID) or "")
    assert last.expired(ID) is None
    over = AcceptedDeviations(today=date(2026, 11, 22), deviations=(deviation(ID),))
    assert over.reason(ID) is None
    assert "2026-11-21" in (over.expired(ID) or "")
    renewed = AcceptedDeviations(today=date(2026, 11, 22), deviations=(deviation(ID), deviation("*", date(2027, 1, 1))))
    assert renewed.reason(ID)
    assert renewed.expired(ID) is None


def test_idle_entries() -> None:
    known = AcceptedDeviations(today=TODAY, deviations=(deviation(ID), deviation("*none*"), deviation("*y*")))
    lines = known.unused([Result(id=ID, result=PASSED), Result(id="y", result=KNOWN_DEVIATION)])
    assert len(lines) == 2
    assert "remove" in lines[0]
    assert "*none*" in lines[1]


def test_baseline() -> None:
    before = [
        Result(id="d/t.py::deviates", result=FAILED),
        Result(id="d/t.py::broke", result=ERROR),
        Result(id="d/t.py::held", result=PASSED),
        Result(id="e/t.py::held", result=PASSED),
    ]
    known = AcceptedDeviations(
        today=TODAY, baseline=Run(info=RunInfo(suite="1"), results=before), baseline_name="b.yaml"
    )
    assert "b.yaml" in (known.reason("d/t.py::deviates") or "")
    assert known.reason("d/t.py::broke") is None
    assert known.reason("d/t.py::held") is None
    now = [before[0], before[1], Result(id="d/t.py::held", result=SKIPPED, cause="no gateway")]
    lacking = known.missing(now, asked=None)
    assert [line.partition(": ")[0] for line in lacking] == ["d/t.py::held", "e/t.py::held"]
    assert "no gateway" in lacking[0]
    assert len(known.missing(now, asked=["d"])) == 1
    assert len(known.missing(now, asked=["e/t.py"])) == 2
    assert known.missing(before, asked=None) == []


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
    assert read_deviations(path) == (Deviation(test="a*", reason="because", expires=date(2027, 1, 31)),)
    path.write_text("deviations: []\n")
    assert read_deviations(path) == ()
    with pytest.raises(DeviationsError, match="No such file"):
        read_deviations(tmp_path / "none")
