"""Every field of an outcome is compared, and a wrong one is a difference of the right hop."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from fake_cluster import LINE

from pytest_istio_egress import Hop, Outcome, Tunnel, blocked_http, blocked_tcp, get, workload
from pytest_istio_egress.model.difference import Difference, HopName
from pytest_istio_egress.model.outcome import BLACKHOLE_EXITS, BLACKHOLE_EXITS_OF_BYTES
from pytest_istio_egress.model.probe import CurlResult
from pytest_istio_egress.model.sent_request import CLIENTS_PROTOCOL
from pytest_istio_egress.model.ztunnel_log import ZtunnelLine
from pytest_istio_egress.verdict.comparison import compare, unknown_fields
from pytest_istio_egress.verdict.verdict import Exchange, Verdict

GET = get("http://api.test/")
CURL = CurlResult(
    exit=0, status=200, error="", seconds=0.05, local_address="10.1.0.1", local_port=2, remote_address="10.0.0.1",
    http_version="1.1",
    headers={"server": "envoy", "x-outside-server": "outside", "x-outside-source": "10.1.0.9", "x-envoy-a": "1"},
    body='{"headers": {"Host": ["api.test"], "X-Request-Id": ["r"]}}',
)  # fmt: skip
SEEN = Exchange(
    probe=get("http://api.test/"), command=(), kubectl_command="", began=0.0, curl=CURL, sidecar=LINE,
    gateway=LINE, proxy=LINE, addresses={"gateway": frozenset({"10.1.0.9"}), "client": frozenset({"10.1.0.1"})},
)  # fmt: skip
DOCUMENTED = Outcome(
    status=200, reached="outside", cluster="outbound|80||api.test", route="default", flags="-",
    details="via_upstream", gateway=Hop(protocol="HTTP/1.1", status=200),
    proxy=Hop(method="GET", authority="api.test"), source="gateway",
    request_headers={"host": "api.test", "x-b3": None}, response_headers={"server": "envoy", "x-other": None},
    body="api.test", seconds=0.04, connected_to="10.0.0.1",
)  # fmt: skip


WRONG: list[tuple[dict[str, object], HopName, str]] = [
    ({"status": 502}, "client", "HTTP status"),
    ({"exit": 56}, "client", "curl exit code"),
    ({"exit": frozenset({52, 56})}, "client", "curl exit code"),
    ({"response_headers": {"server": None}}, "client", "response header server"),
    ({"response_headers": {"missing": "*"}}, "client", "response header missing"),
    ({"body": "other"}, "client", "response body"),
    ({"seconds": 0.5}, "client", "duration"),
    ({"seconds": 0.01}, "client", "duration"),
    ({"connected_to": "10.0.0.2"}, "client", "address that curl connected to"),
    ({"cluster": "BlackHoleCluster"}, "sidecar", "upstream cluster"),
    ({"route": "block_all"}, "sidecar", "route"),
    ({"flags": "UH"}, "sidecar", "response flags"),
    ({"flags": frozenset({"UF", "UH"})}, "sidecar", "response flags"),
    ({"details": "direct_response"}, "sidecar", "response code details"),
    ({"failure": "VERIFY"}, "sidecar", "upstream transport failure"),
    ({"ztunnel": Tunnel(service="other.test")}, "ztunnel", "destination service"),
    ({"ztunnel": Tunnel(service="")}, "ztunnel", "destination service"),
    ({"ztunnel": Tunnel(hbone=False)}, "ztunnel", "tunnel (HBONE)"),
    ({"ztunnel": Tunnel(error="refused")}, "ztunnel", "error"),
    ({"waypoint": Hop(status=403)}, "waypoint", "status"),
    ({"gateway": Hop(cluster="other")}, "egress gateway", "upstream cluster"),
    ({"gateway": Hop(route="other")}, "egress gateway", "route"),
    ({"gateway": Hop(flags="UH")}, "egress gateway", "response flags"),
    ({"gateway": Hop(details="other")}, "egress gateway", "response code details"),
    ({"gateway": Hop(protocol="HTTP/2")}, "egress gateway", "protocol"),
    ({"gateway": Hop(status=503)}, "egress gateway", "status"),
    ({"gateway": Hop(server_name="api.test")}, "egress gateway", "requested server name"),
    ({"gateway": Hop(failure="VERIFY")}, "egress gateway", "upstream transport failure"),
    ({"gateway": Hop(termination="rbac")}, "egress gateway", "connection termination details"),
    ({"proxy": Hop(method="CONNECT")}, "forward proxy", "method"),
    ({"proxy": Hop(authority="other.test:443")}, "forward proxy", "authority"),
    ({"reached": "second"}, "external server", "that answered"),
    ({"reached": None}, "external server", "that answered"),
    ({"server_saw": {"protocol": "HTTP/2.0"}}, "external server", "protocol"),
    ({"server_saw": {"protocol": CLIENTS_PROTOCOL}}, "external server", "protocol"),
    ({"server_saw": {"host": "api.test"}}, "external server", "host"),
    ({"source": "client"}, "external server", "source address"),
    ({"request_headers": {"host": "other"}}, "external server", "request header host"),
    ({"request_headers": {"x-request-id": None}}, "external server", "request header x-request-id"),
    ({"request_headers": {"missing": "*"}}, "external server", "request header missing"),
]
"""Changes of the documented outcome, each with the hop and the field of the difference that it makes."""


TUNNEL = ZtunnelLine(
    raw="...", source="10.1.0.1:2", destination="10.1.0.7:15008", target="240.240.0.1:80", service="api.test"
)
EVERY_HOP = replace(SEEN, ztunnel=TUNNEL, waypoint=LINE)
DOCUMENTED_EVERY_HOP = replace(DOCUMENTED, ztunnel=Tunnel(service="api.test", hbone=True), waypoint=Hop(status=200))


def test_documented_exchange_has_no_difference() -> None:
    assert compare(DOCUMENTED, SEEN) == ()
    assert compare(DOCUMENTED_EVERY_HOP, EVERY_HOP) == ()


def test_line_of_ztunnel_is_a_difference_where_a_pod_must_not_be_captured() -> None:
    captured = replace(SEEN, sidecar=None, ztunnel=TUNNEL, curl=replace(CURL, headers={"x-outside-server": "outside"}))
    differences = compare(Outcome(status=200, reached="outside", sidecar=False), captured)
    assert [(each.hop, each.field) for each in differences] == [("ztunnel", "access log")]


@pytest.mark.parametrize(("wrong", "hop", "field"), WRONG)
def test_wrong_field_alone_is_the_only_difference_and_names_its_hop(
    wrong: dict[str, object], hop: HopName, field: str
) -> None:
    differences = compare(replace(DOCUMENTED_EVERY_HOP, **wrong), EVERY_HOP)  # type: ignore[arg-type]  # any field
    assert [(difference.hop, difference.field) for difference in differences] == [(hop, field)]


def test_every_field_of_an_outcome_is_in_the_table() -> None:
    elsewhere = {"sidecar", "before_istio", "times", "share"}  # a bypass, another outcome, several answers
    assert {name for wrong, _, _ in WRONG for name in wrong} == {field.name for field in fields(Outcome)} - elsewhere


@pytest.mark.parametrize(
    ("missing", "hop"),
    [
        ("sidecar", "sidecar"),
        ("ztunnel", "ztunnel"),
        ("waypoint", "waypoint"),
        ("gateway", "egress gateway"),
        ("proxy", "forward proxy"),
    ],
)
def test_missing_log_line_is_a_difference_of_its_hop(missing: str, hop: HopName) -> None:
    differences = compare(DOCUMENTED_EVERY_HOP, replace(EVERY_HOP, **{missing: None}))  # type: ignore[arg-type]  # any
    assert [(difference.hop, difference.field) for difference in differences] == [(hop, "access log")]


@pytest.mark.parametrize(
    ("exchange", "fields_of_sidecar"),
    [
        ({"sidecar": None}, ["headers that Envoy added to the response"]),
        ({"curl": replace(CURL, headers={"x-outside-server": "outside"})}, ["access log"]),
    ],
)
def test_expected_bypass_differs_at_sidecar_where_an_envoy_took_part(
    exchange: dict[str, Any], fields_of_sidecar: list[str]
) -> None:
    bypass = Outcome(status=200, reached="outside", sidecar=False)
    differences = compare(bypass, replace(SEEN, **exchange))
    assert [(each.hop, each.field) for each in differences] == [("sidecar", field) for field in fields_of_sidecar]


def test_expected_bypass_passes_without_any_envoy() -> None:
    bypass = Outcome(status=200, reached="outside", sidecar=False)
    plain = replace(SEEN, sidecar=None, curl=replace(CURL, headers={"x-outside-server": "outside"}))
    assert compare(bypass, plain) == ()


def test_body_without_request_headers_is_a_difference_of_external_server() -> None:
    differences = compare(DOCUMENTED, replace(SEEN, curl=replace(CURL, body="api.test")))
    assert [(each.hop, each.field) for each in differences] == [("external server", "request headers")]


def test_difference_is_shown_with_its_hop_except_the_client() -> None:
    assert [str(each) for each in compare(replace(DOCUMENTED, status=502, flags="UH", reached=None), SEEN)] == [
        "HTTP status: expected 502, got 200",
        "sidecar response flags: expected UH, got -",
        "external server that answered: expected none, got outside",
    ]


def test_difference_survives_json() -> None:
    difference = Difference("egress gateway", "route", "a", "b")
    assert Difference.from_mapping(difference.to_mapping()) == difference


@pytest.mark.parametrize("hop", ["somewhere", None])
def test_difference_with_unknown_hop_is_refused(hop: object) -> None:
    with pytest.raises(ValueError, match="unknown hop"):
        Difference.from_mapping({"hop": hop, "field": "a", "expected": "b", "seen": "c"})


@pytest.mark.parametrize(
    ("documented", "seconds", "controls", "passed"),
    [
        (3.0, 3.0, 0.02, True),
        (3.0, 2.998, 0.02, True),
        (3.0, 2.6, 0.02, False),
        (3.0, 3.6, 0.02, True),
        (3.0, 4.5, 0.02, False),
        (0.5, 0.6, 0.02, True),
        (0.5, 0.75, 0.02, False),
        (0.5, 0.75, 0.2, True),  # so busy that a request without any timer takes 0.2 s
        (3.0, 4.5, 0.5, False),
    ],
)
def test_timer_may_be_slightly_early_and_as_late_as_the_controls_show(
    documented: float,
    seconds: float,
    controls: float,
    passed: bool,  # noqa: FBT001  # what is expected
) -> None:
    timed = replace(
        SEEN,
        sidecar=replace(LINE, duration=int(seconds * 1000)),
        curl=replace(CURL, seconds=seconds + 0.01),
        control_seconds=controls,
    )
    assert (compare(replace(DOCUMENTED, seconds=documented), timed) == ()) is passed


def test_late_duration_names_the_overhead() -> None:
    late = replace(SEEN, sidecar=replace(LINE, duration=4502), curl=replace(CURL, seconds=4.51), control_seconds=0.02)
    (difference,) = compare(replace(DOCUMENTED, seconds=3.0), late)
    assert str(difference) == "duration: expected 3 s, got 4.502 s, of which 0.02 s may be overhead"


def test_duration_without_sidecar_is_curls() -> None:
    plain = replace(SEEN, sidecar=None, curl=replace(CURL, seconds=1.6, headers={"x-outside-server": "outside"}))
    bypass = Outcome(status=200, reached="outside", sidecar=False, seconds=1.0)
    assert [difference.field for difference in compare(bypass, plain)] == ["duration"]


def test_request_that_did_not_arrive_has_no_differences_in_what_arrived() -> None:
    expected = replace(DOCUMENTED, server_saw={"host": "api.test", "path": "/"}, source=None, request_headers={})
    exchange = replace(SEEN, curl=replace(CURL, headers={"server": "envoy"}))
    assert [difference.field for difference in compare(expected, exchange)] == ["that answered"]


def test_any_of_several_flags_passes() -> None:
    assert compare(replace(DOCUMENTED, flags=frozenset({"-", "URX"})), SEEN) == ()


@pytest.mark.parametrize(("exits", "passed"), [(BLACKHOLE_EXITS, False), (BLACKHOLE_EXITS_OF_BYTES, True)])
def test_exit_55_passes_only_for_raw_bytes(exits: frozenset[int], passed: bool) -> None:  # noqa: FBT001  # what is expected
    dropped = replace(LINE, cluster="BlackHoleCluster", flags="UH")
    exchange = replace(SEEN, sidecar=dropped, curl=replace(CURL, exit=55, status=0, headers={}))
    assert (compare(blocked_tcp(exits), exchange) == ()) is passed


@pytest.mark.parametrize("expected", [blocked_http(), blocked_tcp(), Outcome(exit=28)])
def test_block_fails_where_an_external_server_answered(expected: Outcome) -> None:
    assert "external server" in {difference.hop for difference in compare(expected, SEEN)}


FEW_KEYS = replace(
    LINE, cluster=None, route=None, flags=None, details=None, failure=None, duration=None, upstream_local=None
)
"""A line of a JSON format without the fields that are compared."""


def test_unknown_field_is_no_difference_but_missing_evidence() -> None:
    seen = replace(SEEN, sidecar=FEW_KEYS)
    assert compare(DOCUMENTED, seen) == ()
    unknown = unknown_fields(DOCUMENTED, seen)
    assert unknown == (
        "sidecar upstream cluster", "sidecar response flags", "sidecar response code details", "sidecar route",
    )  # fmt: skip
    verdict = Verdict(probe=seen.probe, expected=DOCUMENTED, exchange=seen, differences=(), unknown=unknown, attempts=1)
    assert not verdict.passed
    assert "has no field for the expected sidecar upstream cluster, sidecar response flags" in verdict.log_trouble


def test_known_difference_counts_beside_an_unknown_field() -> None:
    seen = replace(SEEN, sidecar=FEW_KEYS, curl=replace(CURL, status=503))
    differences = compare(DOCUMENTED, seen)
    assert [each.field for each in differences] == ["HTTP status"]
    verdict = Verdict(
        probe=seen.probe, expected=DOCUMENTED, exchange=seen, differences=differences, unknown=("route",), attempts=1
    )
    assert not verdict.log_trouble


def test_gateway_line_that_cannot_be_found_for_want_of_an_address_is_unknown() -> None:
    seen = replace(SEEN, sidecar=replace(LINE, upstream_local=None), gateway=None)
    assert compare(DOCUMENTED, seen) == ()
    assert unknown_fields(DOCUMENTED, seen) == ("sidecar upstream local address",)


def test_complete_line_has_no_unknown_field() -> None:
    assert unknown_fields(DOCUMENTED, SEEN) == ()
    assert unknown_fields(Outcome(sidecar=False), replace(SEEN, sidecar=FEW_KEYS)) == ()


@pytest.mark.parametrize("reported", ["fd00::9", "fd00:0:0:0:0:0:0:9", "FD00::9"])
def test_source_address_is_compared_in_one_form(reported: str) -> None:
    curl = replace(CURL, headers={**CURL.headers, "x-outside-source": reported})
    seen = replace(SEEN, curl=curl, addresses={"client": frozenset({"10.0.0.9", "fd00::9"})})
    assert compare(replace(DOCUMENTED, source="client"), seen) == ()
    assert seen.source == "fd00::9"


def test_gateway_is_known_by_its_ipv6_address() -> None:
    seen = replace(
        SEEN, sidecar=replace(LINE, upstream="[fd00::7]:8080"), addresses={"gateway": frozenset({"fd00::7"})}
    )
    assert seen.went_to_gateway
    assert not replace(seen, addresses={"gateway": frozenset({"fd00::8"})}).went_to_gateway


OWN = get("http://api.stripe.com/", client=workload("deployment/payments", namespace="payments"))


def test_own_host_need_not_report_who_it_is() -> None:
    silent = replace(SEEN, probe=OWN, curl=replace(CURL, headers={}))
    assert compare(Outcome(status=200, cluster="outbound|80||api.test"), silent) == ()


def test_headers_of_an_envoy_before_a_users_host_are_no_evidence_of_the_sidecar() -> None:
    behind_envoy = replace(SEEN, probe=OWN, sidecar=None, curl=replace(CURL, headers={"server": "envoy"}))
    assert compare(Outcome(status=200, sidecar=False), behind_envoy) == ()


def test_any_status_passes_where_none_is_expected_and_curl_succeeds() -> None:
    mail = get("smtp://ledger.test:2525", client=OWN.client)
    seen = replace(SEEN, probe=mail, curl=replace(CURL, status=214))
    assert compare(Outcome(exit=0, cluster="outbound|80||api.test"), seen) == ()


def test_no_response_may_come_where_curl_is_expected_to_fail() -> None:
    assert "HTTP status: expected none, got 200" in map(str, compare(Outcome(exit=28), SEEN))


@pytest.mark.parametrize(("url", "name"), [("smtp://a.test:25", "SMTP reply code"), ("ftp://a.test", "FTP reply code")])
def test_reply_code_of_another_protocol_is_not_called_http_status(url: str, name: str) -> None:
    seen = replace(SEEN, probe=replace(OWN, url=url), curl=replace(CURL, status=550))
    assert f"{name}: expected 214, got 550" in map(str, compare(Outcome(status=214), seen))


def test_bytes_that_a_tcp_probe_waits_for_are_compared() -> None:
    greeted = replace(SEEN, probe=replace(OWN, receive="220 "), curl=replace(CURL, body="220 ledger ESMTP"))
    outcome = Outcome(cluster="outbound|80||api.test")
    assert compare(outcome, greeted) == ()
    silent = replace(greeted, curl=replace(CURL, body="", headers={}))
    assert list(map(str, compare(outcome, silent))) == ["received bytes: expected ...220 ..., got ''"]
    assert "received bytes" not in " ".join(map(str, compare(blocked_tcp(), silent)))
