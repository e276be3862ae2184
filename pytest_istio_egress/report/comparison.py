"""Two runs beside each other: what got worse or better, what changed though it is still right, what is new or gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_istio_egress.model.access_log import AccessLogLine, parse_line
from pytest_istio_egress.model.outcome import BLACKHOLE_EXITS_OF_BYTES
from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, PASSED, SKIPPED
from pytest_istio_egress.report.document import Run
from pytest_istio_egress.report.results import Result

WORSE = "worse"
GONE = "gone"
NEW = "new"
CHANGED = "changed"
BETTER = "better"
KINDS = (WORSE, GONE, CHANGED, NEW, BETTER)
"""From what needs attention most to what needs none."""

_RANK = {PASSED: 0, SKIPPED: 1, KNOWN_DEVIATION: 2, FAILED: 2, ERROR: 3}
_SLOWER_BY = 1.0
_SLOWER_BY_PART = 0.25
"""Seconds, and the part of the time itself on top: less is the noise of two machines."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What differs in one case. `before` or `after` is None where that run lacks the case; `differences` says it in words."""

    kind: str
    before: Result | None
    after: Result | None
    differences: tuple[str, ...]

    @property
    def id(self) -> str:
        """The case's id."""
        return (self.after or self.before or _nobody()).id


def compare_runs(before: Run, after: Run) -> list[Change]:
    """Return the changes, those that need attention first, then by case; nothing of what is as it was."""
    old = {result.id: result for result in before.results}
    new = {result.id: result for result in after.results}
    found = [change for case in sorted(old | new) if (change := _change(old.get(case), new.get(case)))]
    return sorted(found, key=lambda change: KINDS.index(change.kind))


def same_run(before: Run, after: Run) -> bool:
    """Whether both tell of the very same run, as a file and its copy do: a gate of that would never close."""
    return bool(before.info.run) and (before.info.run, before.info.began) == (after.info.run, after.info.began)


def differences_about(before: Run, after: Run) -> list[str]:
    """Return what differs between the meshes and suites themselves, one line each."""
    pairs = {
        "suite": (before.info.suite, after.info.suite),
        "Kubernetes": (before.info.kubernetes, after.info.kubernetes),
        "Istio": (before.info.istio, after.info.istio),
        "Envoy": (", ".join(before.envoy), ", ".join(after.envoy)),
        "outbound traffic policy": (before.info.outbound_mode, after.info.outbound_mode),
        "egress gateway": (before.info.gateway, after.info.gateway),
    }
    lines = [f"{what}: {old or 'unknown'} -> {new or 'unknown'}" for what, (old, new) in pairs.items() if old != new]
    for feature in sorted(before.info.features.keys() & after.info.features.keys()):
        had, has = before.info.features[feature] is None, after.info.features[feature] is None
        if had != has:
            lines.append(f"feature {feature}: {'found' if had else 'missing'} -> {'found' if has else 'missing'}")
    for name, run in (("before", before), ("after", after)):
        if not run.info.complete:
            lines.append(f"the run {name} was stopped before its end")
    return lines


def _change(before: Result | None, after: Result | None) -> Change | None:
    if before is None or after is None:
        only = before or after or _nobody()
        if before is None:
            return Change(kind=NEW, before=None, after=after, differences=(only.result,))
        return Change(kind=GONE, before=before, after=None, differences=(f"was: {only.result}",))
    kind = _kind(before, after)
    what = tuple(_words(before, after))
    if kind is None and not what:
        return None
    return Change(kind=kind or CHANGED, before=before, after=after, differences=what)


def _kind(before: Result, after: Result) -> str | None:
    """Return how the outcome moved; None where it is the same, in whatever way it was reached."""
    old, new = _RANK[before.result], _RANK[after.result]
    if old == new:
        return None
    if new == 0:
        return BETTER
    # What failed and now can't be asked is no progress; nothing is known about it any more.
    return WORSE if new > old else CHANGED


def _words(before: Result, after: Result) -> Iterator[str]:
    if _RANK[before.result] != _RANK[after.result]:
        yield f"{before.result} -> {after.result}" + (f": {after.cause}" if after.cause else "")
    if before.expected and after.expected and before.expected != after.expected:
        yield f"asked otherwise: {before.expected} -> {after.expected}"
    if before.exit is None or after.exit is None:
        return
    yield from _moved("HTTP status", before.status or "none", after.status or "none")
    if not {before.exit, after.exit} <= BLACKHOLE_EXITS_OF_BYTES:  # which of these came first is a race in either run
        yield from _moved("curl's exit code", before.exit, after.exit)
    yield from _log_words("sidecar", before.sidecar, after.sidecar)
    yield from _log_words("gateway", before.gateway, after.gateway)
    yield from _moved("the outside server saw", before.server_saw or "nothing", after.server_saw or "nothing")
    yield from _headers(before.response_headers, after.response_headers)
    low, high = sorted((before.seconds, after.seconds))
    if high - low >= _SLOWER_BY + _SLOWER_BY_PART * low:
        yield f"seconds: {before.seconds:.1f} -> {after.seconds:.1f}"


def _moved(what: str, before: object, after: object) -> Iterator[str]:
    if before != after:
        yield f"{what}: {before} -> {after}"


def _log_words(whose: str, before: str, after: str) -> Iterator[str]:
    """Compare what two lines of an access log say about the way of a request, not its time, ports and ids."""
    old, new = parse_line(before), parse_line(after)
    if old is None or new is None:
        if (old is None) != (new is None):
            yield f"{whose}'s log line: {'none' if old is None else 'there'} -> {'none' if new is None else 'there'}"
        return
    for name in ("status", "flags", "details", "cluster", "route", "protocol", "server_name"):
        yield from _moved(f"{whose}'s {name.replace('_', ' ')}", _field(old, name), _field(new, name))


def _field(line: AccessLogLine, name: str) -> object:
    return getattr(line, name)


def _headers(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Compare names, and the values that both runs know."""
    old, new = (dict(header.partition(": ")[::2] for header in headers) for headers in (before, after))
    if gone := sorted(old.keys() - new.keys()):
        yield f"headers of the answer gone: {', '.join(gone)}"
    if come := sorted(new.keys() - old.keys()):
        yield f"headers of the answer new: {', '.join(come)}"
    for name in sorted(old.keys() & new.keys()):
        if old[name] and new[name]:
            yield from _moved(f"header {name} of the answer", old[name], new[name])


def _nobody() -> Result:
    raise AssertionError("a change has a case before or after it")
