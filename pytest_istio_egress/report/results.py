"""What each case found out, gathered from pytest's reports; imports no pytest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, PASSED, RESULTS, SKIPPED

PROPERTY = "istio-egress"
"""The name under which a result travels in `report.user_properties`, also from xdist's workers."""
CASE_PROPERTY = "istio-egress-case"
"""The name of what is known about a case whatever becomes of it: what it says, its source, whether it may deviate."""
PHASES_PROPERTY = "istio-egress-phases"
"""The name of the seconds that a case spent in each phase of its way."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was found out about one case. `id` is pytest's id; the figures are those of its probe.

    `exit` is curl's, None where no curl ran; `status` 0 stands for no HTTP answer. `sidecar`, `gateway` and `forward_proxy` are
    lines of access logs: of sidecar, egress gateway and forward proxy. `server_saw` is what the outside server said it
    saw, `response_headers` are the names of the answer's headers. `envoy_version` is that of the client's Envoy. `known_deviation` says
    why a deviation is no news, `expired_deviation` that it was. `evidence` is the folder of what was kept, relative to the
    report. `probes` are all that a case asked, in that order, where it asked more than once; the case itself is the
    worst of them.
    """

    id: str
    result: str
    area: str = ""
    summary: str = ""
    source: str = ""
    probe: str = ""
    expected: str = ""
    seen: str = ""
    sidecar: str = ""
    gateway: str = ""
    forward_proxy: str = ""
    cause: str = ""
    seconds: float = 0.0
    attempts: int = 0
    status: int = 0
    exit: int | None = None
    client: str = ""
    envoy_version: str = ""
    server_saw: str = ""
    response_headers: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    known_deviation: str = ""
    expired_deviation: str = ""
    evidence: str = ""
    probes: tuple[Result, ...] = ()

    @classmethod
    def from_property(cls, said: Mapping[str, Any], case: str) -> Result:
        """Read what a fixture left in the user properties; what it left out keeps its default."""
        known = {item.name for item in fields(cls)}
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in said.items()
            if key in known and value is not None
        }
        return cls(**({"outcome": PASSED} | values | {"case": case, "area": area_of(case)}))

    @property
    def test(self) -> str:
        """The id of the test function."""
        return self.id.partition("[")[0]

    @property
    def parameter(self) -> str:
        """The id of the parameters, empty without any."""
        return self.id.partition("[")[2].removesuffix("]")


class Report(Protocol):
    """The parts of pytest's TestReport and CollectReport that are read here."""

    nodeid: str
    outcome: Any
    longrepr: Any
    user_properties: Any


@dataclass
class Results:
    """The results of one run, by case, in the order in which they arrived."""

    by_id: dict[str, Result] = field(default_factory=dict)

    def add(self, report: Report, when: str) -> None:
        """Take in one report; `when` is pytest's phase. The worst of a case's phases counts."""
        found = _result(report, when)
        if found is None:
            return
        before = self.by_id.get(found.id)
        if before is None or _rank(found) <= _rank(before):
            self.by_id[found.id] = found

    def all(self) -> list[Result]:
        """Return all results by area and case: a stable order, whatever order the workers had."""
        return sorted(self.by_id.values(), key=lambda result: (result.area, result.id))

    def count(self, outcome: str) -> int:
        """How many cases ended so."""
        return sum(result.result == outcome for result in self.by_id.values())


def area_of(nodeid: str) -> str:
    """Return the folder of a case without the suite's own: `timeouts`; for a user's own case its folder or file."""
    path = nodeid.partition("::")[0].removeprefix("conformance/")
    return path.rpartition("/")[0] or path


def flat(properties: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Spread results over plain name and text pairs, as JUnit XML has them; leave other properties as they are.

    What a case asked first is `istio-egress.probe` and so on, what it asked second is `istio-egress.2.probe`.
    """
    spread: list[tuple[str, Any]] = []
    asked = 0
    for name, value in properties:
        if name in (PROPERTY, CASE_PROPERTY) and isinstance(value, Mapping):
            asked += name == PROPERTY
            prefix = f"{PROPERTY}.{asked}" if name == PROPERTY and asked > 1 else PROPERTY
            spread += [(f"{prefix}.{key}", _text(part)) for key, part in value.items() if part not in ("", None, [])]
        elif name == PHASES_PROPERTY and isinstance(value, Mapping):
            spread += [(f"{PROPERTY}.seconds.{phase}", f"{seconds:.3f}") for phase, seconds in value.items()]
        else:
            spread.append((name, value))
    return spread


def _text(part: Any) -> str:
    return "; ".join(map(str, part)) if isinstance(part, list | tuple) else str(part)


def _rank(result: Result) -> int:
    return RESULTS.index(result.result) if result.result in RESULTS else 0


def _result(report: Report, when: str) -> Result | None:
    said = _said(report)
    if report.outcome == "passed":
        # Set-up and tear-down that pass say nothing; a call says it even where no fixture left a result.
        return said or (_plain(report, PASSED, "") if when == "call" else None)
    if report.outcome == "skipped":
        if said is not None and said.result == KNOWN_DEVIATION:
            return said
        return replace(said or _plain(report, SKIPPED, ""), result=SKIPPED, cause=_skip_reason(report))
    if said is not None and said.result in (FAILED, ERROR) and when == "call":
        return said
    return replace(said or _plain(report, ERROR, ""), result=ERROR, cause=_error(report, when))


def _plain(report: Report, outcome: str, cause: str) -> Result:
    return Result.from_property(_about(report) | {"outcome": outcome, "cause": cause}, report.nodeid)


def _about(report: Report) -> dict[str, Any]:
    """Return what is known about the case whatever becomes of it."""
    about: dict[str, Any] = {}
    for name, value in report.user_properties:
        if name == CASE_PROPERTY and isinstance(value, Mapping):
            about |= value
    return about


def _said(report: Report) -> Result | None:
    """Return the result that the fixtures left; of several (a test that expects several things) the worst."""
    left = [value for name, value in report.user_properties if name == PROPERTY and isinstance(value, Mapping)]
    about = _about(report)
    results = [Result.from_property({**about, **value}, report.nodeid) for value in left]
    worst = min(results, key=_rank, default=None)
    if worst and len(results) > 1:
        worst = replace(
            worst,
            probes=tuple(replace(result, known_deviation="", expired_deviation="", evidence="") for result in results),
        )
    return (
        replace(worst, result=KNOWN_DEVIATION) if worst and worst.known_deviation and worst.result == FAILED else worst
    )


def said_outcome(report: Report) -> str | None:
    """Return how the case ended by its own word, None where it left none."""
    said = _said(report)
    return said.result if said else None


def _skip_reason(report: Report) -> str:
    if hasattr(report, "wasxfail"):
        return f"expected to fail: {report.wasxfail}".rstrip(": ")
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return " ".join(str(text).removeprefix("Skipped: ").split())


def _error(report: Report, when: str) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message if crash else report.longrepr).strip()
    first = text.splitlines()[0] if text else "no reason was given"
    return first if when == "call" else f"{when}: {first}"
