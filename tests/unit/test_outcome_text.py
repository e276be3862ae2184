"""The lines `expected:`, `seen:` and `unsteady:` of a failure show all that was compared, and nothing that was not."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from fake_cluster import LINE, exchange_of, verdict_on

from pytest_istio_egress import Hop, Outcome, Tunnel, answered, blocked_tcp, get, reached, workload
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.verdict.outcome_text import expected_text, seen_text, unsteady_lines

GET = get("http://api.test/")
PAYMENTS = workload("deployment/payments", namespace="payments")
OWN = get("http://api.stripe.test/", client=PAYMENTS)

SHOWN = [
    (Outcome(status=504), "status 504, exit 0"),
    (Outcome(exit=frozenset({52, 56})), "status -, exit 56 or 52"),
    (Outcome(cluster="BlackHoleCluster", route="r"), "cluster BlackHoleCluster, route r"),
    (Outcome(status=503, flags=frozenset({"UF", "NC", "URX,UF"})), "flags URX,UF or UF or NC"),
    (Outcome(details="via_upstream"), "details via_upstream"),
    (Outcome(failure="VERIFY"), "failure ...VERIFY..."),
    (Outcome(sidecar=False), "no sidecar on the path"),
    (Outcome(gateway=Hop(cluster="outbound|80||a", status=200)), "gateway cluster outbound|80||a, gateway status 200"),
    (Outcome(gateway=Hop()), "a line in the log of the gateway"),
    (Outcome(ztunnel=Tunnel(service="a.test", hbone=True)), "ztunnel service a.test, ztunnel with HBONE"),
    (Outcome(ztunnel=Tunnel(service="", hbone=False)), "ztunnel service none, ztunnel without HBONE"),
    (Outcome(ztunnel=Tunnel(error="denied")), "ztunnel error ...denied..."),
    (Outcome(ztunnel=Tunnel()), "a line in the log of ztunnel"),
    (Outcome(waypoint=Hop(status=403)), "waypoint status 403"),
    (Outcome(proxy=Hop(method="CONNECT")), "forward proxy method CONNECT"),
    (reached("second"), "answered by second"),
    (blocked_tcp(), "no external server reached"),
    (Outcome(source="gateway"), "source address of the gateway"),
    (Outcome(server_saw={"protocol": "HTTP/2"}), "server saw protocol HTTP/2"),
    (Outcome(request_headers={"host": "a.test", "x-b3": None}), "request header host: a.test, no request header x-b3"),
    (Outcome(response_headers={"server": "envoy"}), "response header server: envoy"),
    (Outcome(body="denied"), "body ...denied..."),
    (Outcome(connected_to="192.0.2.80"), "connected to 192.0.2.80"),
    (Outcome(seconds=3), "after 3 s"),
    (Outcome(times=15), "15 times in a row"),
    (Outcome(times=15, share=0.8), "12 of 15 times"),
]  # fmt: skip


@pytest.mark.parametrize(("outcome", "text"), SHOWN, ids=[text for _, text in SHOWN])
def test_each_expected_field_is_shown(outcome: Outcome, text: str) -> None:
    assert text in expected_text(GET, outcome)


def test_every_field_of_an_outcome_is_shown() -> None:
    defaults = Outcome()
    shown = {field.name for outcome, _ in SHOWN for field in fields(Outcome)
             if getattr(outcome, field.name) != getattr(defaults, field.name)}  # fmt: skip
    assert shown == {field.name for field in fields(Outcome)} - {"before_istio"}


def test_every_field_of_a_hop_is_shown() -> None:
    for field in fields(Hop):
        if field.name != "at":
            hop = replace(Hop(), **{field.name: "value"})  # type: ignore[arg-type]  # any of its fields
            assert f"gateway {field.name.replace('_', ' ')} " in expected_text(GET, Outcome(gateway=hop))


def test_any_status_is_not_shown() -> None:
    assert expected_text(OWN, Outcome(cluster="c")) == "exit 0, cluster c"


def test_own_host_is_not_said_to_be_unreached() -> None:
    verdict = replace(verdict_on((OWN, answered()), passed=True), exchange=exchange_of(OWN, status=200, sidecar=LINE))
    assert expected_text(OWN, answered().for_probe(OWN)) == "status 200, exit 0, cluster outbound|80||api.stripe.test"
    assert "external server" not in seen_text(verdict)
    assert "cluster outbound|80||api.test" in seen_text(verdict)


def test_seen_shows_the_gateways_line_beside_the_sidecars() -> None:
    expected = Outcome(status=200, gateway=Hop(authority="api.test"), seconds=3)
    seen = replace(exchange_of(GET, status=503, sidecar=LINE), gateway=replace(LINE, cluster="other", flags="UF"))
    assert seen_text(replace(verdict_on((GET, expected), passed=False), exchange=seen)) == (
        "status 503, exit 0, cluster outbound|80||api.test, route default, flags -, details via_upstream, "
        "gateway cluster other, gateway route default, gateway flags UF, gateway details via_upstream, "
        "gateway authority api.test, no external server reached, after 0.04 s"
    )


def test_reply_code_of_mail_is_no_http_status() -> None:
    mail = get("smtp://ledger.test:2525", client=PAYMENTS)
    verdict = replace(verdict_on((mail, Outcome(status=214)), passed=True), exchange=exchange_of(mail, status=550))
    assert expected_text(mail, Outcome(status=214)) == "reply code 214, exit 0"
    assert seen_text(verdict) == "reply code 550, exit 0"


def test_protocol_without_reply_codes_shows_none() -> None:
    raw = get("telnet://ledger.test:2525", client=PAYMENTS)
    assert expected_text(raw, blocked_tcp()) == "exit 56 or 52, cluster BlackHoleCluster, flags UH"


def test_unsteady_answers_are_counted_by_their_differences() -> None:
    overflow = replace(LINE, flags="UO", details="overflow")
    failed = replace(
        verdict_on((OWN, answered()), passed=False),
        differences=(Difference("client", "HTTP status", "200", "503"),),
        exchange=exchange_of(OWN, status=503, sidecar=overflow),
    )
    lost = verdict_on((OWN, answered()), passed=False)
    verdict = replace(verdict_on((OWN, answered()), passed=True), attempts=8, unexpected=(failed, failed, lost))
    assert unsteady_lines(verdict) == [
        "2 of 8 answers: HTTP status: expected 200, got 503; the sidecar logged flags UO, details overflow",
        "1 of 8 answers: curl exit code: expected 0, got 7",
    ]
    assert unsteady_lines(verdict_on((OWN, answered()), passed=True)) == []
