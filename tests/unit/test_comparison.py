"""Every field of an outcome is really compared: each one, alone, can make a verdict fail."""

from dataclasses import replace

import pytest

from pytest_istio_egress import Hop, Outcome, blackholed, block_all, get
from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.outcome import BLACKHOLE_EXITS, BLACKHOLE_EXITS_OF_BYTES
from pytest_istio_egress.model.probe import CurlResult
from pytest_istio_egress.verdict.comparison import compare
from pytest_istio_egress.verdict.record import expected_text
from pytest_istio_egress.verdict.verdict import Exchange

LINE = AccessLogLine(
    raw="...", start="", method="GET", protocol="HTTP/1.1", status=200, flags="-", details="via_upstream", failure="-",
    duration=40, user_agent="a", request_id="r", authority="api.test", upstream="10.0.0.1:80",
    cluster="outbound|80||api.test", upstream_local="10.1.0.1:1", downstream_local="10.0.0.1:80",
    downstream_remote="10.1.0.1:2", server_name="-", route="default",
)  # fmt: skip
CURL = CurlResult(
    exit=0, status=200, error="", seconds=0.05, local_address="10.1.0.1", local_port=2, remote_address="10.0.0.1",
    http_version="1.1",
    headers={"server": "envoy", "x-outside-server": "outside", "x-outside-source": "10.1.0.9", "x-envoy-a": "1"},
    body='{"headers": {"Host": ["api.test"], "X-Request-Id": ["r"]}}',
)  # fmt: skip
SEEN = Exchange(
    probe=get("http://api.test/"), command=(), kubectl_command="", began=0.0, curl=CURL, sidecar=LINE, gateway=LINE, proxy=LINE,
    addresses={"gateway": frozenset({"10.1.0.9"}), "client": frozenset({"10.1.0.1"})},
)  # fmt: skip
RIGHT = Outcome(
    status=200, reached="outside", cluster="outbound|80||api.test", route="default", flags="-",
    details="via_upstream", gateway=Hop(protocol="HTTP/1.1", status=200),
    proxy=Hop(method="GET", authority="api.test"), source="gateway",
    request_headers={"host": "api.test", "x-b3": None}, response_headers={"server": "envoy", "x-other": None},
    body="api.test", min_seconds=0.04, connected_to="10.0.0.1",
)  # fmt: skip


def test_what_is_as_documented_differs_in_nothing() -> None:
    assert compare(RIGHT, SEEN) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 502}, {"status": None}, {"exit": 56}, {"exit": frozenset({52, 56})}, {"reached": "second"},
        {"reached": None}, {"cluster": "BlackHoleCluster"}, {"route": "block_all"}, {"flags": "UH"},
        {"details": "direct_response"}, {"failure": "VERIFY"}, {"sidecar": False},
        {"gateway": Hop(cluster="other")}, {"gateway": Hop(protocol="HTTP/2")}, {"gateway": Hop(status=503)},
        {"gateway": Hop(server_name="api.test")}, {"proxy": Hop(method="CONNECT")},
        {"proxy": Hop(authority="other.test:443")}, {"source": "client"}, {"request_headers": {"host": "other"}},
        {"request_headers": {"x-request-id": None}}, {"request_headers": {"missing": "*"}},
        {"headers": {"server": None}}, {"headers": {"missing": "*"}}, {"far_end": {"server": "second"}},
        {"flags": frozenset({"UF", "UH"})}, {"body": "other"}, {"at_least": 0.5}, {"connected_to": "10.0.0.2"},
    ],
    ids=lambda wrong: ", ".join(f"{name} {value}" for name, value in wrong.items() if not isinstance(value, frozenset)),
)  # fmt: skip
def test_each_field_alone_can_fail(wrong: dict[str, object]) -> None:
    assert compare(replace(RIGHT, **wrong), SEEN)  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize(("spent", "holds"), [(3.0, True), (2.998, True), (2.6, False)])
def test_a_timer_may_be_a_little_early(spent: float, holds: bool) -> None:  # noqa: FBT001  # what is expected
    seen = replace(SEEN, sidecar=replace(LINE, duration=int(spent * 1000)))
    assert (compare(replace(RIGHT, min_seconds=3.0), seen) == ()) is holds


def test_several_flags_read_the_same_in_every_run() -> None:
    expected = Outcome(status=503, flags=frozenset({"URX,UF", "NC", "UF"}))
    assert "flags URX,UF or UF or NC, nobody" in expected_text(expected)
    assert ", flags UH, " in f"{expected_text(blackholed())}, "


def test_any_of_several_flags_will_do() -> None:
    assert compare(replace(RIGHT, flags=frozenset({"-", "URX"})), SEEN) == ()


@pytest.mark.parametrize(("exits", "failing"), [(BLACKHOLE_EXITS, True), (BLACKHOLE_EXITS_OF_BYTES, False)])
def test_only_bytes_of_ones_own_may_fail_at_sending(exits: frozenset[int], failing: bool) -> None:  # noqa: FBT001  # what is expected
    dropped = replace(LINE, cluster="BlackHoleCluster", flags="UH")
    seen = replace(SEEN, sidecar=dropped, curl=replace(CURL, exit=55, status=0, headers={}))
    assert bool(compare(blackholed(exits), seen)) is failing


@pytest.mark.parametrize("expected", [block_all(), blackholed(), Outcome(exit=28)])
def test_a_block_fails_where_anybody_outside_answered(expected: Outcome) -> None:
    assert any("outside server" in difference.what for difference in compare(expected, SEEN))


def test_a_missing_log_line_is_a_difference() -> None:
    assert compare(RIGHT, replace(SEEN, sidecar=None))
    assert compare(RIGHT, replace(SEEN, gateway=None))
    assert compare(RIGHT, replace(SEEN, proxy=None))


def test_a_bypass_is_right_only_without_any_envoy() -> None:
    bypass = Outcome(status=200, reached="outside", sidecar=False)
    plain = replace(SEEN, sidecar=None, curl=replace(CURL, headers={"x-outside-server": "outside"}))
    assert compare(bypass, plain) == ()
    assert compare(bypass, replace(plain, curl=CURL))
    assert compare(bypass, replace(plain, sidecar=LINE))


def test_flags_that_mean_the_same_are_told_in_a_stable_order() -> None:
    told = expected_text(Outcome(status=503, flags=frozenset({"UF", "NC", "URX,UF"})))
    assert "flags URX,UF or UF or NC" in told
