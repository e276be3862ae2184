"""One verdict as plain data: the fields of a report's result, with the manifests' names, and no secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.addresses import is_assigned
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.hop_log import HopLog
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.model.result_names import FAILED, PASSED
from pytest_istio_egress.model.ztunnel_log import ZtunnelLine
from pytest_istio_egress.redaction import redacted
from pytest_istio_egress.verdict.comparison import request_headers
from pytest_istio_egress.verdict.outcome_text import expected_text, status_text, unsteady_lines
from pytest_istio_egress.verdict.verdict import SERVER_HEADER, Exchange, Verdict, without_json_output

VARYING = frozenset({"age", "content-length", "date", "etag", "expires", "last-modified", "set-cookie", "x-request-id"})
"""Headers with another value each time; of these, and of those that measure time, only the name is recorded."""

Unrender = Callable[[str], str]
"""Puts the manifests' names in place of the run's."""


def declaration(case: Case) -> dict[str, Any]:
    """Return the fields of a `Result` that are known before the test runs."""
    return {"summary": case.summary, "source": case.source}


def record_of(verdict: Verdict, unrender: Unrender, envoy_version: str) -> dict[str, Any]:
    """Return the fields of a `Result`, as JSON has them; `envoy_version` is that of the client's."""
    seen = verdict.exchange
    record = {
        "client": verdict.probe.client,
        "probe": unrender(without_json_output(seen.command)),
        "expected": expected_text(verdict.probe, verdict.expected),
        "assigned_addresses": _assigned_addresses(verdict.expected),
        "seen": ", ".join([*status_text(verdict.probe, seen.curl.status), f"exit {seen.curl.exit}"]),
        "status": seen.curl.status,
        "exit": seen.curl.exit,
        "sidecar": _hop_log(seen.sidecar, unrender),
        "ztunnel": ztunnel_log(seen.ztunnel, unrender).to_mapping() if seen.ztunnel else None,
        "waypoint": _hop_log(seen.waypoint, unrender),
        "gateway": _hop_log(seen.gateway, unrender),
        "forward_proxy": _hop_log(seen.proxy, unrender),
        "server_saw": unrender(_server_saw(seen)),
        "response_headers": [unrender(header) for header in _response_headers(seen)],
        "differences": [difference.unrendered(unrender).to_mapping() for difference in verdict.differences],
        "equal_values": _equal_values(verdict.expected),
        "cause": "" if verdict.passed else unrender(verdict.cause),
        "seconds": seen.curl.seconds,
        "attempts": verdict.attempts,
        "unsteady": [unrender(line) for line in unsteady_lines(verdict)],
        "envoy_version": envoy_version,
        "result": PASSED if verdict.passed else FAILED,
    }
    cleaned: dict[str, Any] = redacted(record)
    return cleaned


def _hop_log(line: AccessLogLine | None, unrender: Unrender) -> dict[str, str | float] | None:
    return HopLog.of(line, unrender).to_mapping() if line else None


def ztunnel_log(line: ZtunnelLine, unrender: Unrender) -> HopLog:
    """Return ztunnel's line in the words of Envoy's lines: the service as the cluster, the error as the failure."""
    return HopLog(
        line=unrender(line.raw),
        cluster=unrender(line.service),
        protocol="HBONE" if line.hbone else "TCP",
        upstream=unrender(line.destination),
        failure=unrender(line.error),
        seconds=None if line.milliseconds is None else line.milliseconds / 1000,
    )


def _assigned_addresses(expected: Outcome) -> list[str]:
    """Return the addresses in an expected outcome that the cluster assigned: a test has read them from it."""
    address = expected.connected_to
    return [address] if address and is_assigned(address) else []


def _equal_values(expected: Outcome) -> dict[str, list[str]]:
    """Return the values between which it is a race which one is seen, by field: both mean the same outcome."""
    fields = {
        "exit": expected.exits,
        "sidecar": expected.flags,
        "waypoint": expected.waypoint.flags if expected.waypoint else None,
        "gateway": expected.gateway.flags if expected.gateway else None,
        "forward_proxy": expected.proxy.flags if expected.proxy else None,
    }
    return {
        name: sorted(map(str, values))
        for name, values in fields.items()
        if isinstance(values, frozenset) and len(values) > 1
    }


def _response_headers(seen: Exchange) -> list[str]:
    """Return the response headers as `name: value`; the name alone where the value varies or is reported elsewhere."""
    return [
        name if name in VARYING or name.endswith("-time") or name.startswith(SERVER_HEADER) else f"{name}: {value}"
        for name, value in sorted(seen.curl.headers.items())
    ]


def _server_saw(seen: Exchange) -> str:
    """Return what the external server reported about the request, except for the client's certificate."""
    facts = {
        name.removeprefix(SERVER_HEADER): value
        for name, value in sorted(seen.curl.headers.items())
        if name.startswith(SERVER_HEADER) and "certificate" not in name
    }
    owner = next((name for name, own in seen.addresses.items() if seen.source in own), None)
    if owner:
        facts["source"] = f"the {owner}'s address"
    if facts and (received := request_headers(seen.curl.body)):
        facts["headers"] = " ".join(sorted(received))
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value)
