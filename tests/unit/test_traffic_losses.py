"""The losses computed from the clients' record."""

from __future__ import annotations

import math
import subprocess

import pytest
import yaml

from pytest_istio_egress.cli.traffic import excess
from pytest_istio_egress.suite.discovery import fixtures_folder
from pytest_istio_egress.traffic.losses import STALL, Loss, losses, silent_clients
from pytest_istio_egress.traffic.observations import LAG, SILENT, NoRecordError, Record, read

BOOTED = 1_700_000_000.0
"""The boot time of the clients' node."""


def batch(pod: str, uptime: float, *lines: str, late: float = 0.0) -> list[str]:
    return [f"batch {BOOTED + uptime + late:.3f} {pod} {uptime:.2f}", *lines, ""]


def only(record: Record, kind: str, since: float = -math.inf, until: float = math.inf) -> Loss:
    return next(loss for loss in losses(record, since, until) if loss.kind.name == kind)


def test_responses_are_counted_without_losses() -> None:
    record = read([*batch("a", 10, "http ok 8.00 9.50 7"), *batch("a", 12, "http ok 10.00 11.50 6")])
    loss = only(record, "http")
    assert (loss.sent, loss.lost, loss.gaps) == (13, 0, ())


def test_batch_that_is_sent_twice_counts_once() -> None:
    record = read([*batch("a", 10, "http ok 8.00 9.50 7"), *batch("a", 12, "http ok 8.00 9.50 7", "http ok 10 11 6")])
    assert only(record, "http").sent == 13


def test_lost_requests_make_a_gap_until_the_next_response() -> None:
    lines = ["http ok 1 2 5", "http lost 2.50 3.00 0 503", "http lost 3.20 3.40 56 000", "http ok 3.60 5.00 7"]
    (gap,) = only(read(batch("a", 6, *lines)), "http").gaps
    assert gap.begin == pytest.approx(BOOTED + 2.5)
    assert gap.seconds == pytest.approx(1.1)
    assert gap.lost == 2
    assert gap.over
    assert any("HTTP 503" in saw for saw in gap.saw)
    assert any("56" in saw for saw in gap.saw)


def test_gap_without_a_later_response_is_not_over() -> None:
    (gap,) = only(read(batch("a", 9, "http ok 1 2 5", "http lost 3 4 7 000")), "http").gaps
    assert not gap.over
    assert gap.seconds == pytest.approx(6)


def test_times_are_the_recorders_by_the_fastest_batch() -> None:
    lines = [*batch("a", 6, "http lost 3 4 7 000", late=2), *batch("a", 8, "http ok 5 6 1", late=0.01)]
    assert only(read(lines), "http").gaps[0].begin == pytest.approx(BOOTED + 3, abs=0.02)


def test_broken_connection_is_lost_from_its_last_event() -> None:
    lines = ["tcp open 1", "tcp ok 1 5 20", "tcp lost 5 7 56 200", "tcp open 7.2", "tcp ok 7.50 9 8"]
    loss = only(read(batch("a", 9, *lines)), "tcp")
    assert (loss.sent, loss.lost, loss.ended) == (2, 1, 0)
    assert loss.longest == pytest.approx(2.5)


def test_connection_closed_with_its_pod_is_not_lost() -> None:
    record = read(
        [*batch("a", 5, "tcp open 1", "tcp ok 1 4 9", "tcp closed 5", "- end 5"), *batch("b", 99, "tcp open 6")]
    )
    loss = only(record, "tcp")
    assert (loss.sent, loss.lost, loss.ended, loss.gaps) == (2, 0, 1, ())
    assert silent_clients(record) == []


def test_connection_without_events_is_a_gap() -> None:
    lines = ["stream open 1", "stream ok 1 2 5", f"stream ok {2 + STALL + 1} 9 5"]
    loss = only(read(batch("a", 10, *lines)), "stream")
    assert loss.lost == 0
    assert loss.longest == pytest.approx(STALL + 1)


def test_silent_clients_has_killed_clients_but_not_stopped_ones() -> None:
    later = 10 + SILENT + 5
    record = read(
        [*batch("killed", 10, "http ok 8 9 2"), *batch("told", 10, "- end 10"), *batch("alive", later, "http ok 8 9 2")]
    )
    assert [client.pod for client in silent_clients(record)] == ["killed"]


def test_entries_outside_of_the_time_are_left_out() -> None:
    lines = ["http lost 1 1.1 7 000", "http ok 2 3 5", "http lost 8 8.1 7 000", "http ok 9 10 5", "http lost 20 21 7 0"]
    loss = only(read(batch("a", 30, *lines)), "http", BOOTED + 5, BOOTED + 15)
    assert (loss.sent, loss.lost) == (6, 1)


def test_connection_opened_earlier_counts() -> None:
    record = read(batch("a", 30, "tcp open 1", "tcp ok 1 3 9", "tcp ok 20 22 9"))
    assert only(record, "tcp", BOOTED + 15).sent == 1


@pytest.mark.parametrize("cut", ["http ok 1", "http lost 1 2", "tcp", "http ok one two 3"])
def test_truncated_line_is_skipped(cut: str) -> None:
    assert only(read(batch("a", 9, cut, "http ok 1 2 5")), "http").sent == 5


def test_record_is_complete_up_to_the_slowest_running_client() -> None:
    record = read(
        [
            *batch("slow", 40, "http ok 38 39 2"),
            *batch("fast", 45),
            *batch("told", 30, "- end 30"),
            *batch("killed", 20),
        ]
    )
    assert record.complete == pytest.approx(BOOTED + 40 - LAG)


def test_log_without_batches_is_an_error() -> None:
    with pytest.raises(NoRecordError):
        read(["nginx: ready"])


def test_excess_compares_with_limits_by_kind_or_for_all() -> None:
    lines = ["http lost 1 2 7 000", "tls lost 1 2 35 000", "tls lost 2 3 35 000"]
    by_kind = losses(read(batch("a", 9, *lines)))
    assert len(excess(by_kind, {})) == 2
    assert len(excess(by_kind, {None: 1})) == 1
    assert excess(by_kind, {None: 0, "http": 1, "tls": 2}) == []


def test_script_of_the_clients_is_valid_for_sh() -> None:
    documents = yaml.safe_load_all((fixtures_folder() / "traffic" / "script.yaml").read_text())
    script = next(document["data"]["traffic.sh"] for document in documents if document["kind"] == "ConfigMap")
    assert subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False).stderr == ""
