"""The expected outcome, the observed one, and the answers that were not as expected, each as text for reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.outcome import Hop, Outcome, Tunnel
from pytest_istio_egress.model.probe import Probe
from pytest_istio_egress.model.sent_request import sent_request
from pytest_istio_egress.model.ztunnel_log import ZtunnelLine
from pytest_istio_egress.verdict.verdict import Verdict

_HOP_FIELDS = ("cluster", "route", "flags", "details", "failure", "protocol", "status", "method", "authority")
_RARE_FIELDS = ("server_name", "termination")
"""Fields that a text has only where they are expected."""
_SHOWN_FIELDS = ("cluster", "route", "flags", "details")
"""Fields of a log line that are shown even where nothing is expected of them."""


def as_text(value: object) -> str:
    """Return a value as text; of several permitted values, all in a stable order."""
    if isinstance(value, frozenset):
        return " or ".join(str(item) for item in sorted(value, reverse=True))
    return "none" if value is None else str(value)


def status_text(probe: Probe, status: int | None) -> list[str]:
    """Return curl's response code by the name that it has in the protocol; nothing where the protocol has none."""
    return [f"{probe.status_word} {status or '-'}"] if status or probe.status_word == "status" else []


def expected_text(probe: Probe, expected: Outcome) -> str:
    """Return all that is expected, in one line; what is not compared is left out."""
    any_status = expected.status is None and 0 in expected.exits
    parts = [] if any_status else status_text(probe, expected.status)
    parts.append(f"exit {as_text(expected.exits)}")
    parts += list(_hop("", expected.sidecar_hop)) if expected.sidecar else ["no sidecar on the path"]
    parts += _expected_tunnel(expected.ztunnel) if expected.ztunnel else []
    further = {"waypoint": expected.waypoint, "gateway": expected.gateway, "forward proxy": expected.proxy}
    for name, hop in further.items():
        if hop is not None:
            parts += list(_hop(f"{name} ", hop)) or [f"a line in the log of the {name}"]
    if not probe.from_own_workload:  # hosts of the user's own do not report who they are
        parts.append(f"answered by {expected.reached}" if expected.reached else "no external server reached")
    parts += [f"source address of the {expected.source}"] if expected.source else []
    stated = expected.server_saw.items() - sent_request(probe).items()
    parts += [f"server saw {name} {as_text(value)}" for name, value in sorted(stated)]
    parts += _headers("request header", expected.request_headers)
    parts += _headers("response header", expected.response_headers)
    parts += [f"received ...{probe.receive}..."] if probe.receive and 0 in expected.exits else []
    parts += [f"body ...{expected.body}..."] if expected.body is not None else []
    parts += [f"connected to {expected.connected_to}"] if expected.connected_to else []
    parts += [f"after {expected.seconds:g} s"] if expected.seconds is not None else []
    if expected.times > 1:
        in_a_row = expected.needed == expected.times
        parts.append(f"{expected.times} times in a row" if in_a_row else f"{expected.needed} of {expected.times} times")
    return ", ".join(parts)


def seen_text(verdict: Verdict) -> str:
    """Return the observed outcome in one line, in the order of `expected_text`."""
    probe, expected, seen = verdict.probe, verdict.expected, verdict.exchange
    parts = [*status_text(probe, seen.curl.status), f"exit {seen.curl.exit}"]
    parts += _line("", expected.sidecar_hop, seen.sidecar)
    parts += _seen_tunnel(seen.ztunnel) if seen.ztunnel else []
    parts += _line("waypoint ", expected.waypoint or Hop(), seen.waypoint)
    parts += _line("gateway ", expected.gateway or Hop(), seen.gateway)
    parts += _line("forward proxy ", expected.proxy or Hop(), seen.proxy)
    if not probe.from_own_workload:
        reached = seen.server_saw("server")
        parts.append(f"answered by {reached}" if reached else "no external server reached")
    if expected.seconds is not None:
        parts.append(f"after {seen.seconds:g} s")
    return ", ".join(parts)


def unsteady_lines(verdict: Verdict) -> list[str]:
    """Return the answers that were not as expected although others were: `2 of 3 answers: HTTP status: ...`."""
    counts = Counter(_difference_text(each) for each in verdict.unexpected)
    return [f"{count} of {verdict.attempts} answers: {text}" for text, count in counts.items()]


def _difference_text(verdict: Verdict) -> str:
    """Return the differences of one answer, and Envoy's reason for it where nothing of that is expected."""
    texts = [str(difference) for difference in verdict.differences]
    line, expected = verdict.exchange.sidecar, verdict.expected
    if line is not None and line.flags not in (None, "-") and expected.flags is None and expected.details is None:
        texts.append(f"the sidecar logged flags {line.flags}, details {line.details}")
    return "; ".join(texts)


def _expected_tunnel(tunnel: Tunnel) -> list[str]:
    parts = [f"ztunnel service {tunnel.service or 'none'}"] if tunnel.service is not None else []
    parts += [f"ztunnel {'with' if tunnel.hbone else 'without'} HBONE"] if tunnel.hbone is not None else []
    parts += [f"ztunnel error ...{tunnel.error}..."] if tunnel.error else []
    return parts or ["a line in the log of ztunnel"]


def _seen_tunnel(line: ZtunnelLine) -> list[str]:
    parts = [f"ztunnel service {line.service or 'none'}", f"ztunnel {'with' if line.hbone else 'without'} HBONE"]
    return [*parts, *([f"ztunnel error {line.error}"] if line.error else [])]


def _hop(prefix: str, hop: Hop) -> Iterator[str]:
    fields = {name.replace("_", " "): getattr(hop, name) for name in (*_HOP_FIELDS, *_RARE_FIELDS)}
    for name, value in fields.items():
        if value is not None:
            yield f"{prefix}{name} " + (f"...{value}..." if name == "failure" else as_text(value))


def _line(prefix: str, expected: Hop, line: AccessLogLine | None) -> list[str]:
    if line is None:
        return []
    names = [name for name in (*_HOP_FIELDS, *_RARE_FIELDS) if name in _SHOWN_FIELDS or getattr(expected, name)]
    values = {name: getattr(line, name) for name in names}
    return [f"{prefix}{name.replace('_', ' ')} {'unknown' if v is None else v}" for name, v in values.items()]


def _headers(kind: str, headers: Mapping[str, str | None]) -> list[str]:
    return [f"no {kind} {name}" if value is None else f"{kind} {name}: {value}" for name, value in headers.items()]
