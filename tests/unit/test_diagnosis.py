"""What is said of which evidence; above all what must not be said. tests/suite brings each about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_istio_egress import Hop, Outcome, blackholed, get
from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.failure_context import FailureContext, Fault
from pytest_istio_egress.model.probe import CurlResult
from pytest_istio_egress.verdict.diagnosis import cause
from pytest_istio_egress.verdict.verdict import Difference, Exchange, Verdict

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


def said(
    expected: Outcome = OVER_TCP,
    line: AccessLogLine | None = PASSED,
    gateway: AccessLogLine | None = None,
    curl: CurlResult = CURL,
    **context: Any,
) -> str:
    exchange = Exchange(
        probe=get("http://db.test:9000/"), command=(), kubectl_command="", began=0.0, curl=curl, sidecar=line, gateway=gateway,
        addresses={"gateway": frozenset({"10.1.0.9"})},
    )  # fmt: skip
    return cause(
        Verdict(
            probe=exchange.probe,
            expected=expected,
            exchange=exchange,
            differences=(Difference("something", "one thing", "another"),),
            attempts=1,
            failure_context=FailureContext(**context),
        )
    )


@pytest.mark.parametrize(
    ("around", "sentence"),
    [
        ({"injected": False}, "was not injected"),
        ({"captured": False}, "went past the client's sidecar, which is there"),
        ({"captured": False, "excluded": "excludeOutboundPorts: 80"}, "excludeOutboundPorts: 80"),
        ({"proxy_trouble": "CrashLoopBackOff"}, "not ready (CrashLoopBackOff)"),
        ({}, "nothing is known of its way"),
        ({"incomplete": "exec failed"}, "exec failed"),
    ],
)
def test_a_missing_line_is_no_missing_sidecar(context: dict[str, Any], sentence: str) -> None:
    text = said(line=None, **context)
    assert sentence in text
    assert ("not injected" in text) is (context.get("injected") is False)


def test_a_missing_secret_does_not_lead_to_the_entry() -> None:
    text = said(line=replace(PASSED, flags="NC"), faults=(Fault("entry", "no entry"), Fault("secret", "no Secret x")))
    assert "No Secret x" in text
    assert "entry" not in text


@pytest.mark.parametrize("flags", ["UT", "NR", "NC", "UF", "UH", "UC", "DC", "FI"])
def test_a_flag_is_told_unless_it_is_documented(flags: str) -> None:
    line = replace(PASSED, flags=f"{flags},URX")
    assert f"({flags}" in said(line=line)
    assert "No known cause" in said(expected=replace(OVER_TCP, flags=flags), line=line)


def test_the_sidecars_flag_counts_where_the_gateway_has_none() -> None:
    text = said(
        expected=replace(OVER_TCP, gateway=Hop()),
        line=replace(PASSED, flags="UT", upstream="10.1.0.9:8080"),
        gateway=PASSED,
    )
    assert "The sidecar gave up waiting" in text


def test_a_documented_block_is_no_cause() -> None:
    blocked = replace(PASSED, cluster="BlackHoleCluster", flags="UH")
    assert "BlackHoleCluster" in said(line=blocked)
    assert "BlackHoleCluster" not in said(expected=blackholed(), line=blocked)


def test_what_a_proxy_rejected_comes_first() -> None:
    text = said(line=replace(PASSED, flags="NC"), rejected=("the sidecar rejected x: bad",))
    assert "the sidecar rejected x: bad (NACK)" in text


def test_names_are_found_in_every_hop() -> None:
    failed = replace(PASSED, failure="TLS_error:CERTIFICATE_VERIFY_FAILED:verify SAN list")
    assert "another name" in said(gateway=failed)
    assert "another name" not in said(expected=replace(OVER_TCP, failure="CERTIFICATE_VERIFY_FAILED"), line=failed)
