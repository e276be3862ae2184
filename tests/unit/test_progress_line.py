"""The progress of a run, counted from reports in any order."""

from __future__ import annotations

from pytest_istio_egress.plugin.progress_line import ProgressLine

IDS = [f"conformance/dns/test_a.py::test_{number}" for number in range(3)] + ["conformance/timeouts/test_b.py::test_x"]


def test_phase_is_shown_until_the_first_report() -> None:
    line = ProgressLine(IDS)
    line.phase = "detecting the mesh"
    assert line.line(4.9) == "detecting the mesh · 0 of 4 · 4 s"


def test_start_of_the_embedded_cluster_has_the_line_for_itself() -> None:
    line = ProgressLine(IDS)
    line.phase = "connecting to the cluster"
    line.starting = "[1/9] etcd: 12 s"
    assert line.line(14) == "[1/9] etcd: 12 s"


def test_parameter_is_finished_with_its_teardown() -> None:
    line = ProgressLine(IDS)
    for when in ("setup", "call"):
        line.report(IDS[0], when, failed=False)
        assert line.line(1) == "dns 0/3 · 0 of 4 · 1 s"
    line.report(IDS[0], "teardown", failed=False)
    assert line.line(61) == "dns 1/3 · 1 of 4 · 1 min 01 s"


def test_failure_counts_once_and_crashed_worker_finishes_its_test() -> None:
    line = ProgressLine(IDS)
    for when in ("call", "teardown"):
        line.report(IDS[3], when, failed=True)
    line.report(IDS[1], "???", failed=True)
    assert line.line(0) == "dns 1/3 · 2 of 4 · 2 failed · 0 s"
