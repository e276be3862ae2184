"""Known deviations: what an entry covers, for how long, and the errors of an invalid file."""

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


def deviation(test: str, expires: date = TODAY) -> Deviation:
    return Deviation(test=test, reason="ticket 1", expires=expires)


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
def test_entry_covers_ids_and_patterns(pattern: str, *, covers: bool) -> None:
    assert deviation(pattern).covers(ID) is covers


def test_deviation_expires_after_its_last_day() -> None:
    last = AcceptedDeviations(today=TODAY, deviations=(deviation(ID),))
    assert "ticket 1" in (last.reason(ID) or "")
    assert last.expired(ID) is None
    over = AcceptedDeviations(today=date(2026, 11, 22), deviations=(deviation(ID),))
    assert over.reason(ID) is None
    assert "2026-11-21" in (over.expired(ID) or "")
    renewed = AcceptedDeviations(today=date(2026, 11, 22), deviations=(deviation(ID), deviation("*", date(2027, 1, 1))))
    assert renewed.reason(ID)
    assert renewed.expired(ID) is None


def test_unused_entries_are_reported() -> None:
    accepted = AcceptedDeviations(today=TODAY, deviations=(deviation(ID), deviation("*none*"), deviation("*y*")))
    lines = accepted.unused([Result(id=ID, result=PASSED), Result(id="y", result=KNOWN_DEVIATION)])
    assert len(lines) == 2
    assert "remove" in lines[0]
    assert "*none*" in lines[1]


def test_baseline_accepts_failures_and_reports_gaps() -> None:
    before = [
        Result(id="d/t.py::fails", result=FAILED),
        Result(id="d/t.py::broke", result=ERROR),
        Result(id="d/t.py::passed", result=PASSED),
        Result(id="e/t.py::passed", result=PASSED),
    ]
    accepted = AcceptedDeviations(
        today=TODAY, baseline=Run(info=RunInfo(suite="1"), results=before), baseline_name="b.yaml"
    )
    assert "b.yaml" in (accepted.reason("d/t.py::fails") or "")
    assert accepted.reason("d/t.py::broke") is None
    assert accepted.reason("d/t.py::passed") is None
    now = [before[0], before[1], Result(id="d/t.py::passed", result=SKIPPED, cause="no gateway")]
    missing = accepted.missing(now, selection=None)
    assert [line.partition(": ")[0] for line in missing] == ["d/t.py::passed", "e/t.py::passed"]
    assert "no gateway" in missing[0]
    assert len(accepted.missing(now, selection=["d"])) == 1
    assert len(accepted.missing(now, selection=["e/t.py"])) == 2
    assert accepted.missing(before, selection=None) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "deviations"),
        ("- test: x", "deviations"),
        ("deviations: [", "not YAML"),
        ("deviations: [7]", "entry 1"),
        ("deviations: [{test: x, reason: y}]", "entry 1: missing key 'expires'"),
        ("deviations: [{test: x, reason: y, expires: soon}]", "2027-01-31"),
        ("deviations: [{test: x, reason: y, expires: 2027-01-31 10:00:00}]", "2027-01-31"),
        ("deviations: [{test: x, reason: '', expires: 2027-01-31}]", "reason"),
        ("deviations: [{test: 1, reason: y, expires: 2027-01-31}]", "'test' is not a text"),
        ("deviations: [{test: x, reason: y, expires: 2027-01-31, until: 1}]", "unknown key 'until'"),
        ("deviations: [{test: x, reason: y, expires: 2027-02-31}]", "not YAML"),
    ],
)
def test_invalid_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "known.yaml"
    path.write_text(text)
    with pytest.raises(DeviationsError) as caught:
        read_deviations(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_entries_are_read(tmp_path: Path) -> None:
    path = tmp_path / "known.yaml"
    path.write_text("deviations:\n- test: a*\n  reason: because\n  expires: 2027-01-31\n")
    assert read_deviations(path) == (Deviation(test="a*", reason="because", expires=date(2027, 1, 31)),)
    path.write_text("deviations: []\n")
    assert read_deviations(path) == ()
    with pytest.raises(DeviationsError, match="No such file"):
        read_deviations(tmp_path / "none")
