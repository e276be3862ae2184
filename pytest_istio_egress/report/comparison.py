"""Compares two runs: worse and better results, changes within the same result, new and missing parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_istio_egress.model.hop_log import HopLog
from pytest_istio_egress.model.outcome import BLACKHOLE_EXITS_OF_BYTES
from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, PASSED, SKIPPED
from pytest_istio_egress.report.document import Run
from pytest_istio_egress.report.results import HOP_LOGS, Result

WORSE = "worse"
GONE = "gone"
NEW = "new"
CHANGED = "changed"
BETTER = "better"
KINDS = (WORSE, GONE, CHANGED, NEW, BETTER)
"""From the kind that needs attention most to the one that needs none."""

_RANK = {PASSED: 0, SKIPPED: 1, KNOWN_DEVIATION: 2, FAILED: 2, ERROR: 3}
_SLOWER_BY = 1.0
_SLOWER_BY_IN_ENVOY = 0.5
_SLOWER_BY_PART = 0.25
"""Seconds, and the part of the time itself on top: less is the noise of two machines. Envoy's own duration has less of
it than curl's, and shows a timeout of 3 s that has become one of 4.5 s; below a second, it is as noisy."""
_NEW_FACTS = frozenset({"host", "method", "path"})
"""What the external server did not report of older suites: compared only where both runs have it."""

_BLACKHOLE_EXITS = frozenset(map(str, BLACKHOLE_EXITS_OF_BYTES))
_FLAGS_DECIDE = ("flags", "details", "cluster")
"""Fields of an access log line that change together: between flags that mean the same, none of them is a change."""
_COMPARED = ("status", "flags", "details", "cluster", "route", "protocol", "server_name")
"""The fields that describe the path of a request; the others (ports, addresses, ids) differ in each run."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """The differences between two runs in one parameter."""

    kind: str
    """One of KINDS."""
    before: Result | None
    """None where that run lacks the parameter; the same holds for `after`."""
    after: Result | None
    differences: tuple[str, ...]
    """One line each."""

    @property
    def either(self) -> Result:
        """The later result, else the earlier one."""
        result = self.after or self.before
        assert result is not None, "a change has a result before or after it"
        return result

    @property
    def id(self) -> str:
        """The id of the parameter."""
        return self.either.id


def compare_runs(before: Run, after: Run) -> list[Change]:
    """Return the changes, those that need attention first, then by id; nothing for a parameter without a change."""
    old = {result.id: result for result in before.results}
    new = {result.id: result for result in after.results}
    changes = [change for nodeid in sorted(old | new) if (change := _change(old.get(nodeid), new.get(nodeid)))]
    return sorted(changes, key=lambda change: KINDS.index(change.kind))


def same_run(before: Run, after: Run) -> bool:
    """Whether both reports are of one run, such as a file and its copy: a gate that compares them never closes."""
    return bool(before.info.run) and (before.info.run, before.info.began) == (after.info.run, after.info.began)


def environment_changes(before: Run, after: Run) -> list[str]:
    """Return the differences between the clusters, meshes and suites of two runs, one line each."""
    pairs = {
        "suite": (before.info.suite, after.info.suite),
        "Kubernetes": (before.info.kubernetes, after.info.kubernetes),
        "Istio": (before.info.istio, after.info.istio),
        "Envoy": (", ".join(before.envoy), ", ".join(after.envoy)),
        "outbound traffic policy": (before.info.outbound_mode, after.info.outbound_mode),
        "egress gateway": (before.info.gateway, after.info.gateway),
    }
    lines = [f"{name}: {old or 'unknown'} -> {new or 'unknown'}" for name, (old, new) in pairs.items() if old != new]
    for feature in sorted(before.info.features.keys() & after.info.features.keys()):
        old, new = ("missing" if run.info.features[feature] else "available" for run in (before, after))
        if old != new:
            lines.append(f"feature {feature}: {old} -> {new}")
    for name, run in (("before", before), ("after", after)):
        if not run.info.complete:
            lines.append(f"the run {name} was stopped before its end")
    return lines


def _change(before: Result | None, after: Result | None) -> Change | None:
    if before is None:
        return Change(kind=NEW, before=None, after=after, differences=(after.result,)) if after else None
    if after is None:
        return Change(kind=GONE, before=before, after=None, differences=(f"was: {before.result}",))
    kind = _kind(before, after)
    differences = tuple(_differences(before, after))
    if kind is None and not differences:
        return None
    return Change(kind=kind or CHANGED, before=before, after=after, differences=differences)


def _kind(before: Result, after: Result) -> str | None:
    """Return how the result changed; None where it is the same one."""
    old, new = _RANK[before.result], _RANK[after.result]
    if old == new:
        return None
    if new == 0:
        return BETTER
    # From failed to skipped is no progress: nothing is known about it any more.
    return WORSE if new > old else CHANGED


def _differences(before: Result, after: Result) -> Iterator[str]:
    if _RANK[before.result] != _RANK[after.result]:
        yield f"{before.result} -> {after.result}" + (f": {after.cause}" if after.cause else "")
    if before.expected and after.expected and _comparable_outcome(before) != _comparable_outcome(after):
        yield f"expected outcome: {before.expected} -> {after.expected}"
    if before.exit is None or after.exit is None:
        return
    yield from _moved("status", before.status or "none", after.status or "none")
    exits = {str(before.exit), str(after.exit)}
    if not (exits <= _BLACKHOLE_EXITS or _mean_the_same("exit", exits, before, after)):
        yield from _moved("curl exit code", before.exit, after.exit)
    for name in HOP_LOGS:
        yield from _log_differences(name, before, after)
    if _differ_in_facts(before.server_saw, after.server_saw):
        yield from _moved("external server saw", before.server_saw or "nothing", after.server_saw or "nothing")
    yield from _headers(before.response_headers, after.response_headers)
    yield from _durations(before, after)


def _comparable_outcome(result: Result) -> str:
    """Return the expected outcome without the addresses that the cluster assigned, which differ in each run."""
    expected = result.expected
    for address in sorted(result.assigned_addresses, key=len, reverse=True):  # 10.0.0.1 is a part of 10.0.0.12
        expected = expected.replace(address, "address")
    return expected


def _durations(before: Result, after: Result) -> Iterator[str]:
    """Compare Envoy's own durations where both are known; curl's only where those are equal."""
    durations = [("seconds", _SLOWER_BY, before.seconds, after.seconds)]
    if before.sidecar and after.sidecar and before.sidecar.seconds is not None and after.sidecar.seconds is not None:
        durations.insert(0, ("sidecar seconds", _SLOWER_BY_IN_ENVOY, before.sidecar.seconds, after.sidecar.seconds))
    for name, noise, old, new in durations:
        if abs(new - old) >= max(_SLOWER_BY, noise + _SLOWER_BY_PART * min(old, new)):
            yield f"{name}: {old:.1f} -> {new:.1f}"
            return


def _differ_in_facts(before: str, after: str) -> bool:
    """Whether the external server received different requests, by `name value, name value` of each run."""
    if not (before and after):
        return before != after
    old, new = (dict(fact.partition(" ")[::2] for fact in saw.split(", ")) for saw in (before, after))
    unknown = _NEW_FACTS - (old.keys() & new.keys())
    return any(old.get(name) != new.get(name) for name in (old | new).keys() - unknown)


def _moved(name: str, before: object, after: object) -> Iterator[str]:
    if before != after:
        yield f"{name}: {before} -> {after}"


def _mean_the_same(field: str, values: set[str], *results: Result) -> bool:
    """Whether all values are one outcome, by what either run expected: which of them is seen is a race."""
    return any(values <= set(result.equal_values.get(field, ())) for result in results)


def _log_differences(name: str, before: Result, after: Result) -> Iterator[str]:
    """Compare what two lines of an access log tell about the path of a request."""
    hop = name.replace("_", " ")
    old: HopLog | None = getattr(before, name)
    new: HopLog | None = getattr(after, name)
    if old is None or new is None:
        yield from _moved(f"{hop} access log", *("a line" if log else "no line" for log in (old, new)))
        return
    if not (old.parsed and new.parsed):  # a format of its own: nothing to compare
        return
    same_flags = _mean_the_same(name, {old.flags, new.flags}, before, after)
    for field in _COMPARED:
        if not (same_flags and field in _FLAGS_DECIDE and old.flags != new.flags):
            values = (getattr(log, field) or "none" for log in (old, new))
            yield from _moved(f"{hop} {field.replace('_', ' ')}", *values)


def _headers(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Compare names, and the values that both runs recorded."""
    old, new = (dict(header.partition(": ")[::2] for header in headers) for headers in (before, after))
    if gone := sorted(old.keys() - new.keys()):
        yield f"response headers gone: {', '.join(gone)}"
    if added := sorted(new.keys() - old.keys()):
        yield f"response headers new: {', '.join(added)}"
    for name in sorted(old.keys() & new.keys()):
        if old[name] and new[name]:
            yield from _moved(f"response header {name}", old[name], new[name])
