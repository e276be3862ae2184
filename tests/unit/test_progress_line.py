"""How far a run is, counted from reports in whatever order they come."""

from __future__ import annotations

from pytest_istio_egress.plugin.progress_line import ProgressLine

IDS = [f"conformance/dns/test_a.py::test_{number}" for number in range(3)] + ["conformance/timeouts/test_b.py::test_x"]


def test_phase_until_the_first_report() -> None:
    tally = ProgressLine(IDS)
    tally.phase = "looking at the mesh"
    assert tally.line(4.9) == "looking at the mesh · 0 of 4 · 4 s"


def test_a_case_is_over_with_its_tear_down() -> None:
    tally = ProgressLine(IDS)
    for when in ("setup", "call"):
        tally.report(IDS[0], when, failed=False)
        assert tally.line(1) == "dns 0/3 · 0 of 4 · 1 s"
    tally.report(IDS[0], "teardown", failed=False)
    assert tally.line(61) == "dns 1/3 · 1 of 4 · 1 min 01 s"


def test_failed_cases_count_once_and_crashed_workers_too() -> None:
    tally = ProgressLine(IDS)
    for when in ("call", "teardown"):
        tally.report(IDS[3], when, failed=True)
    tally.report(IDS[1], "???", failed=True)
    assert tally.line(0) == "dns 1/3 · 2 of 4 · 2 failed · 0 s"
