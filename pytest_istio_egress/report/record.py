"""What is kept of one verdict: plain numbers and words, with the manifests' names, and nothing secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_istio_egress.case import Case
from pytest_istio_egress.comparison import request_headers, said
from pytest_istio_egress.diagnosis import cause
from pytest_istio_egress.evidence import FAR_END, Exchange, Verdict, pasteable
from pytest_istio_egress.outcome import Outcome
from pytest_istio_egress.report.redaction import redacted
from pytest_istio_egress.report.results import DOES_NOT_HOLD, HOLDS

VARYING = frozenset({"age", "content-length", "date", "etag", "expires", "last-modified", "set-cookie", "x-request-id"})
"""Headers that have another value each time; of these, and of those that time something, the name is kept alone."""

Plain = Callable[[str], str]
"""Puts the manifests' names in place of the run's."""


def about(case: Case) -> dict[str, Any]:
    """Return what is known of a case before it is asked."""
    return {"says": case.says, "source": case.source}


def record_of(verdict: Verdict, plain: Plain, envoy_version: str) -> dict[str, Any]:
    """Return the fields of a `Result`, as JSON has them; `envoy_version` is that of the client's."""
    seen = verdict.exchange
    kept = {
        "client": verdict.probe.client,
        "probe": plain(pasteable(seen.command)),
        "expected": expected_text(verdict.expected),
        "seen": plain(f"status {seen.curl.status or '-'}, exit {seen.curl.exit}"),
        "status": seen.curl.status,
        "exit": seen.curl.exit,
        "envoy": plain(seen.sidecar.raw) if seen.sidecar else "",
        "gateway": plain(seen.gateway.raw) if seen.gateway else "",
        "proxy": plain(seen.proxy.raw) if seen.proxy else "",
        "outside": plain(_outside(seen)),
        "headers": [plain(header) for header in _answer_headers(seen)],
        "differences": [plain(str(difference)) for difference in verdict.differences],
        "cause": "" if verdict.holds else plain(cause(verdict)),
        "seconds": seen.curl.seconds,
        "attempts": verdict.attempts,
        "envoy_version": envoy_version,
        "outcome": HOLDS if verdict.holds else DOES_NOT_HOLD,
    }
    cleaned: dict[str, Any] = redacted(kept)
    return cleaned


def expected_text(expected: Outcome) -> str:
    """Say what is documented, in one line."""
    exits = " or ".join(str(code) for code in sorted(expected.exits, reverse=True))
    words = [f"status {expected.status or '-'}, exit {exits}"]
    hop = {"cluster": expected.cluster, "route": expected.route, "flags": expected.flags, "details": expected.details}
    words += [f"{name} {said(value)}" for name, value in hop.items() if value is not None]
    words.append(f"answered by {expected.reached}" if expected.reached else "nobody outside reached")
    return ", ".join(words)


def seen_text(seen: Exchange) -> str:
    """Say what was seen, in one line, in the order of `expected_text`."""
    words = [f"status {seen.curl.status or '-'}, exit {seen.curl.exit}"]
    if seen.sidecar is not None:
        line = seen.sidecar
        words += [f"cluster {line.cluster}", f"route {line.route}", f"flags {line.flags}", f"details {line.details}"]
    reached = seen.far_end("server")
    words.append(f"answered by {reached}" if reached else "nobody outside reached")
    return ", ".join(words)


def _answer_headers(seen: Exchange) -> list[str]:
    """Return the answer's headers as `name: value`, without the value where it says nothing or is told elsewhere."""
    return [
        name if name in VARYING or name.endswith("-time") or name.startswith(FAR_END) else f"{name}: {value}"
        for name, value in sorted(seen.curl.headers.items())
    ]


def _outside(seen: Exchange) -> str:
    """Return what the outside server said of the request, except what it saw of a client's certificate."""
    facts = {
        name.removeprefix(FAR_END): value
        for name, value in sorted(seen.curl.headers.items())
        if name.startswith(FAR_END) and "certificate" not in name
    }
    source = facts.get("source")
    whose = next((name for name, own in seen.addresses.items() if source in own), None)
    if whose:
        facts["source"] = f"the {whose}'s address"
    if facts and (arrived := request_headers(seen.curl.body)):
        facts["headers"] = " ".join(sorted(arrived))
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value)
