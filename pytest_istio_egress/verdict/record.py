"""What is kept of one verdict: plain numbers and words, with the manifests' names, and nothing secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.model.result_names import FAILED, PASSED
from pytest_istio_egress.redaction import redacted
from pytest_istio_egress.verdict.comparison import as_text, request_headers
from pytest_istio_egress.verdict.verdict import SERVER_HEADER, Exchange, Verdict, without_json_output

VARYING = frozenset({"age", "content-length", "date", "etag", "expires", "last-modified", "set-cookie", "x-request-id"})
"""Headers that have another value each time; of these, and of those that time something, the name is kept alone."""

Unrender = Callable[[str], str]
"""Puts the manifests' names in place of the run's."""


def declaration(case: Case) -> dict[str, Any]:
    """Return the fields of a `Result` that are known before the test runs."""
    return {"summary": case.summary, "source": case.source}


def record_of(verdict: Verdict, unrender: Unrender, envoy_version: str) -> dict[str, Any]:
    """Return the fields of a `Result`, as JSON has them; `envoy_version` is that of the client's."""
    seen = verdict.exchange
    kept = {
        "client": verdict.probe.client,
        "probe": unrender(without_json_output(seen.command)),
        "expected": expected_text(verdict.expected),
        "seen": unrender(f"status {seen.curl.status or '-'}, exit {seen.curl.exit}"),
        "status": seen.curl.status,
        "exit": seen.curl.exit,
        "sidecar": unrender(seen.sidecar.raw) if seen.sidecar else "",
        "gateway": unrender(seen.gateway.raw) if seen.gateway else "",
        "forward_proxy": unrender(seen.proxy.raw) if seen.proxy else "",
        "server_saw": unrender(_outside(seen)),
        "response_headers": [unrender(header) for header in _answer_headers(seen)],
        "differences": [_unrendered(difference, unrender) for difference in verdict.differences],
        "cause": "" if verdict.passed else unrender(verdict.cause),
        "seconds": seen.curl.seconds,
        "attempts": verdict.attempts,
        "envoy_version": envoy_version,
        "result": PASSED if verdict.passed else FAILED,
    }
    cleaned: dict[str, Any] = redacted(kept)
    return cleaned


def _unrendered(difference: Difference, unrender: Unrender) -> dict[str, str]:
    return {key: value if key == "hop" else unrender(value) for key, value in difference.to_mapping().items()}


def expected_text(expected: Outcome) -> str:
    """Say what is documented, in one line."""
    exits = " or ".join(str(code) for code in sorted(expected.exits, reverse=True))
    words = [f"status {expected.status or '-'}, exit {exits}"]
    hop = {"cluster": expected.cluster, "route": expected.route, "flags": expected.flags, "details": expected.details}
    words += [f"{name} {as_text(value)}" for name, value in hop.items() if value is not None]
    words.append(f"answered by {expected.reached}" if expected.reached else "no external server reached")
    return ", ".join(words)


def seen_text(seen: Exchange) -> str:
    """Say what was seen, in one line, in the order of `expected_text`."""
    words = [f"status {seen.curl.status or '-'}, exit {seen.curl.exit}"]
    if seen.sidecar is not None:
        line = seen.sidecar
        words += [f"cluster {line.cluster}", f"route {line.route}", f"flags {line.flags}", f"details {line.details}"]
    reached = seen.server_saw("server")
    words.append(f"answered by {reached}" if reached else "no external server reached")
    return ", ".join(words)


def _answer_headers(seen: Exchange) -> list[str]:
    """Return the answer's headers as `name: value`, without the value where it says nothing or is told elsewhere."""
    return [
        name if name in VARYING or name.endswith("-time") or name.startswith(SERVER_HEADER) else f"{name}: {value}"
        for name, value in sorted(seen.curl.headers.items())
    ]


def _outside(seen: Exchange) -> str:
    """Return what the outside server said of the request, except what it saw of a client's certificate."""
    facts = {
        name.removeprefix(SERVER_HEADER): value
        for name, value in sorted(seen.curl.headers.items())
        if name.startswith(SERVER_HEADER) and "certificate" not in name
    }
    source = facts.get("source")
    whose = next((name for name, own in seen.addresses.items() if source in own), None)
    if whose:
        facts["source"] = f"the {whose}'s address"
    if facts and (arrived := request_headers(seen.curl.body)):
        facts["headers"] = " ".join(sorted(arrived))
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value)
