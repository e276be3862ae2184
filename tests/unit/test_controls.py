"""Controls beside a parameter with a documented time: which ones show the overhead, and which are sent again."""

from __future__ import annotations

from dataclasses import replace

from fake_cluster import LINE
from test_comparison import CURL, SEEN

from pytest_istio_egress import NEIGHBOUR, Outcome, blocked_http, get, reached, timed_out
from pytest_istio_egress.verdict.controls import beside_controls, with_controls

TIMED = replace(SEEN, probe=get("http://slow.test/delay/1"))
SLOW_CONTROL = replace(SEEN, curl=replace(CURL, seconds=0.3))
CONTROL = Outcome(status=200, reached="outside")


def control_seconds(*others: tuple[Outcome, object]) -> float:
    sent = [(timed_out(after=1), TIMED), *others]
    first, *rest = beside_controls(sent)  # type: ignore[arg-type]  # exchanges
    assert all(exchange.control_seconds == 0 for exchange in rest)
    return first.control_seconds


def test_overhead_is_the_time_of_the_slowest_control() -> None:
    assert control_seconds((CONTROL, SEEN), (CONTROL, SLOW_CONTROL)) == 0.3


def test_without_a_control_no_overhead_is_known() -> None:
    assert control_seconds() == 0


def test_other_client_block_timed_or_failed_parameter_shows_no_overhead() -> None:
    elsewhere = replace(SLOW_CONTROL, probe=get("http://api.test/", client=NEIGHBOUR))
    blocked = replace(SLOW_CONTROL, sidecar=replace(LINE, route="block_all"))
    timed = (replace(CONTROL, seconds=0.04), SLOW_CONTROL)
    failed = (replace(CONTROL, status=404), SLOW_CONTROL)
    assert control_seconds((CONTROL, elsewhere), (blocked_http(), blocked), timed, failed) == 0


def test_timed_parameter_is_sent_again_with_one_control_of_its_client() -> None:
    fast = (get("http://slow.test/headers"), reached())
    neighbour = (get("http://slow.test/headers", client=NEIGHBOUR), reached())
    timed = (get("http://slow.test/delay/1"), timed_out(after=1))
    assert with_controls([2], [neighbour, fast, timed, fast]) == [2, 1]
    assert with_controls([1, 2], [neighbour, fast, timed]) == [1, 2]
    assert with_controls([1], [neighbour, fast, timed]) == [1]
    assert with_controls([0], [timed, neighbour]) == [0]
