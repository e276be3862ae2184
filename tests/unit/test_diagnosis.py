"""The sentence that each kind of evidence leads to, and those it must not lead to. tests/suite breaks a real mesh."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_istio_egress import Hop, Outcome, blocked_tcp, get, reached, timed_out
from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.model.failure_context import FailureContext, Fault
from pytest_istio_egress.model.probe import CurlResult
from pytest_istio_egress.verdict.diagnosis import cause
from pytest_istio_egress.verdict.diagnosis.configuration import manifest_rejected
from pytest_istio_egress.verdict.verdict import Exchange, Verdict

PASSED = AccessLogLine(
    raw="...", start="", method="-", protocol="-", status=0, flags="-", details="-", failure="-", duration=40,
    user_agent="-", request_id="-", authority="-", upstream="10.0.0.1:9000", cluster="outbound|9000||db.test",
    upstream_local="10.1.0.1:1", downstream_local="10.0.0.1:80", downstream_remote="10.1.0.1:2", server_name="-",
    route="-",
)  # fmt: skip
CURL = CurlResult(
    exit=0, status=200, error="", seconds=0.05, local_address="10.1.0.1", local_port=2, remote_address="10.0.0.1",
    http_version="1.1", headers={"x-outside-server": "outside"}, body="",
)  # fmt: skip
OVER_TCP = Outcome(status=200, reached="outside", cluster="outbound|9000||db.test")
OVER_GATEWAY = replace(OVER_TCP, gateway=Hop())
TO_GATEWAY = replace(PASSED, upstream="10.1.0.9:8080")
STATUS = Difference("client", "HTTP status", "200", "503")


def cause_of(
    expected: Outcome = OVER_TCP,
    line: AccessLogLine | None = PASSED,
    gateway: AccessLogLine | None = None,
    curl: CurlResult = CURL,
    difference: Difference = STATUS,
    **context: Any,
) -> str:
    exchange = Exchange(
        probe=get("http://api.test/"), command=("curl", "http://api.test/"), kubectl_command="", began=0.0, curl=curl,
        sidecar=line, gateway=gateway, addresses={"gateway": frozenset({"10.1.0.9"})},
    )  # fmt: skip
    return cause(
        Verdict(
            probe=exchange.probe,
            expected=expected,
            exchange=exchange,
            differences=(difference,),
            attempts=1,
            failure_context=FailureContext(**context),
        )
    )


@pytest.mark.parametrize(
    ("context", "sentence"),
    [
        ({"injected": False}, "no sidecar was injected"),
        ({"captured": False}, "bypassed the sidecar, which runs"),
        ({"captured": False, "excluded": "excludeOutboundPorts: 80"}, "pod annotation (excludeOutboundPorts: 80)"),
        ({"proxy_trouble": "CrashLoopBackOff"}, "not ready (CrashLoopBackOff)"),
        ({}, "its path is unknown"),
        ({"incomplete": "exec failed"}, "exec failed"),
    ],
)
def test_missing_log_line_names_cause_by_state_of_sidecar(context: dict[str, Any], sentence: str) -> None:
    text = cause_of(line=None, **context)
    assert sentence in text
    assert ("injected" in text) is (context.get("injected") is False)


def test_missing_secret_wins_over_missing_service_entry() -> None:
    text = cause_of(
        line=replace(PASSED, flags="NC"), faults=(Fault("entry", "no entry"), Fault("secret", "no Secret x"))
    )
    assert "No Secret x." in text
    assert "entry" not in text


@pytest.mark.parametrize("flags", ["UT", "NR", "NC", "UF", "UH", "UC", "DC", "FI"])
def test_response_flag_is_the_cause_unless_it_is_documented(flags: str) -> None:
    line = replace(PASSED, flags=f"{flags},URX")
    assert f"({flags}" in cause_of(line=line)
    assert "No known cause" in cause_of(expected=replace(OVER_TCP, flags=flags), line=line)


def test_response_flag_of_sidecar_counts_where_gateway_has_none() -> None:
    text = cause_of(expected=OVER_GATEWAY, line=replace(TO_GATEWAY, flags="UT"), gateway=PASSED)
    assert "The sidecar timed out" in text


def test_response_flag_of_gateway_wins_over_that_of_sidecar() -> None:
    line, gateway = replace(TO_GATEWAY, flags="UT"), replace(PASSED, flags="UT")
    assert "The egress gateway timed out" in cause_of(expected=OVER_GATEWAY, line=line, gateway=gateway)


def test_documented_block_is_not_a_cause() -> None:
    blocked = replace(PASSED, cluster="BlackHoleCluster", flags="UH")
    assert "BlackHoleCluster" in cause_of(line=blocked)
    assert "BlackHoleCluster" not in cause_of(expected=blocked_tcp(), line=blocked)


def test_rejected_configuration_wins_over_response_flag() -> None:
    text = cause_of(line=replace(PASSED, flags="NC"), rejected=("the sidecar rejected x: bad",))
    assert "(NACK): the sidecar rejected x: bad." in text


def test_transport_failure_is_read_at_every_hop_unless_documented() -> None:
    failed = replace(PASSED, failure="TLS_error:CERTIFICATE_VERIFY_FAILED:verify SAN list")
    assert "another name" in cause_of(gateway=failed)
    assert "another name" not in cause_of(expected=replace(OVER_TCP, failure="CERTIFICATE_VERIFY_FAILED"), line=failed)


# Envoy before 1.37 logs the first for every reason, later the code and the reason; the log has "_" for spaces.
BARE = "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end"
IN_DETAIL = (
    "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_{}:TLS_error_end"
)
OF_X509 = "X509_verify_cert:_certificate_verification_error_at_depth_0:_{}"


def test_bare_verify_failure_names_every_possible_reason() -> None:
    text = cause_of(gateway=replace(PASSED, failure=BARE))
    for reason in ("authority", "names", "dates", "revocation list"):
        assert reason in text
    assert "another authority" not in text


@pytest.mark.parametrize(
    ("detail", "sentence"),
    [
        (OF_X509.format("unable_to_get_local_issuer_certificate"), "another authority signed it"),
        (OF_X509.format("self_signed_certificate_in_certificate_chain"), "another authority signed it"),
        (OF_X509.format("certificate_has_expired"), "has expired"),
        (OF_X509.format("certificate_revoked"), "is revoked"),
        ("verify_SAN_list", "for another name"),
        (OF_X509.format("unsupported_certificate_purpose"), "its log does not say why"),
    ],
)
def test_verify_failure_with_a_reason_names_it(detail: str, sentence: str) -> None:
    assert sentence in cause_of(line=replace(PASSED, failure=IN_DETAIL.format(detail)))


def test_failed_control_wins_over_every_other_cause() -> None:
    control = Difference("control", "request of the same client", "passed", "failed")
    assert "Check the control first" in cause_of(difference=control, injected=False, line=None)


def test_fault_of_rule_stands_between_cause_and_advice() -> None:
    plain = replace(CURL, status=400, body="The plain HTTP request was sent to HTTPS port")
    text = cause_of(curl=plain, faults=(Fault("rule", "nothing defines x.test"),))
    assert "no Envoy originated it. Nothing defines x.test. Check that a DestinationRule" in text


FAULT = (Fault("rule", "something is wrong"), Fault("timeout", "rule x sets a timeout of 9s"))
LATE = replace(PASSED, flags="UT", duration=4500)
SENT_HOST = replace(OVER_GATEWAY, server_saw={"host": "api.test"})
REWRITTEN = replace(CURL, headers={"x-outside-server": "outside", "x-outside-host": "other.test"})
CHANGED = replace(PASSED, authority="other.test")
REWRITES: list[dict[str, Any]] = [
    {"line": TO_GATEWAY, "gateway": CHANGED},
    {"line": replace(TO_GATEWAY, authority="other.test"), "gateway": CHANGED},
]
SENTENCES = [
    cause_of(line=None, injected=False),
    cause_of(line=None, proxy_trouble="CrashLoopBackOff"),
    cause_of(rejected=("x",)),
    cause_of(faults=(Fault("sidecar", "two Sidecars select this workload (a and b in c)"),)),
    cause_of(line=None, captured=False),
    cause_of(line=None, captured=False, excluded="x: y"),
    cause_of(line=replace(PASSED, cluster="PassthroughCluster")),
    cause_of(expected=blocked_tcp(), line=replace(PASSED, cluster="PassthroughCluster")),
    cause_of(line=replace(PASSED, cluster="BlackHoleCluster", server_name="db.test")),
    cause_of(line=replace(PASSED, route="block_all")),
    *(
        cause_of(line=replace(PASSED, failure=failure))
        for failure in (
            "secret_is_not_supplied_by_SDS", "verify_SAN_list", "certificate_revoked", "certificate_has_expired",
            "CERTIFICATE_VERIFY_FAILED", "unable_to_get_local_issuer_certificate", "WRONG_VERSION_NUMBER",
        )
    ),
    *(
        cause_of(curl=replace(CURL, status=400, body=body))
        for body in (
            "plain HTTP request was sent to HTTPS port", "No required SSL certificate was sent",
            "The SSL certificate error",
        )
    ),
    cause_of(expected=OVER_GATEWAY),
    cause_of(expected=OVER_GATEWAY, line=TO_GATEWAY, gateway=replace(PASSED, flags="NR", details="route_not_found")),
    cause_of(expected=OVER_GATEWAY, line=TO_GATEWAY, curl=replace(CURL, status=0)),
    cause_of(line=replace(PASSED, status=403, details="rbac_access_denied_matched_policy[none]")),
    cause_of(expected=Outcome(status=504)),
    cause_of(expected=Outcome(status=504), faults=FAULT[1:]),
    *(cause_of(line=replace(PASSED, flags=flags)) for flags in ("UT", "FI", "NR", "NC", "UH", "UF", "UC", "UPE", "DC")),
    cause_of(line=replace(PASSED, flags="UH"), cluster_type="STRICT_DNS"),
    *(cause_of(curl=replace(CURL, exit=code, error="error")) for code in (6, 7, 28, 35, 60)),
    cause_of(expected=timed_out(after=3), line=LATE, curl=replace(CURL, status=504, headers={})),
    cause_of(expected=reached(flags="DI", seconds=1), line=replace(LATE, flags="DI")),
    *(cause_of(expected=SENT_HOST, curl=REWRITTEN, **hops) for hops in REWRITES),
    cause_of(line=replace(PASSED, status=404, details="via_upstream"), curl=replace(CURL, status=404)),
    cause_of(faults=FAULT),
    cause_of(),
]  # fmt: skip


@pytest.mark.parametrize("text", SENTENCES)
def test_every_cause_is_stated_first_and_then_what_to_check(text: str) -> None:
    known, _, check = text.partition(". ")
    assert known[0].isupper()
    assert check.startswith(("Check ", "Remove ")), text
    assert check.endswith(".")


def test_causes_of_this_table_are_all_different() -> None:
    assert len(set(SENTENCES)) == len(SENTENCES)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ('admission webhook "rev.validation.istio.io" denied the request', "Istio's validating webhook rejected"),
        ('admission webhook "policy.example.com" denied the request', "that is not Istio's rejected"),
        ("ServiceEntry is invalid: spec.ports: Required value", "The API server rejected"),
    ],
)
def test_rejected_manifest_names_who_rejected_it(answer: str, sentence: str) -> None:
    assert sentence in manifest_rejected(answer)
