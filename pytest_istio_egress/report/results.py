"""The result of each parameter, gathered from pytest's reports; imports no pytest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.model.hop_log import HopLog
from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, PASSED, RESULTS, SKIPPED

PROPERTY = "istio-egress"
"""The name under which a record travels in `report.user_properties`, also from xdist's workers."""
CASE_PROPERTY = "istio-egress-case"
"""The name of the fields that do not depend on a probe: summary, source, accepted deviation, evidence folder."""
PHASES_PROPERTY = "istio-egress-phases"
"""The name of the seconds that a parameter spent in each phase of the pipeline."""
NOTE_PROPERTY = "istio-egress-note"
"""The name of a sentence about the run that a worker found out with the first pods."""

_ONLY_COMPARED = ("equal_values", "assigned_addresses")
"""The fields of a record that are data for the comparison of two runs alone."""
HOP_LOGS = ("sidecar", "ztunnel", "waypoint", "gateway", "forward_proxy")
"""The fields of a `Result` that are a hop's line of its access log."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of one parameter, with the evidence of its probe."""

    id: str
    """pytest's id."""
    result: str
    """One of RESULTS in model/result_names.py."""
    area: str = ""
    """The folder of the test."""
    summary: str = ""
    """The documented behaviour in one sentence."""
    source: str = ""
    """The page that documents it."""
    probe: str = ""
    """curl's command line, with the manifests' names."""
    expected: str = ""
    """The expected outcome, in one line."""
    assigned_addresses: tuple[str, ...] = ()
    """The addresses in the expected outcome that the cluster assigned: another run has others."""
    seen: str = ""
    """Status and exit code that were seen, in one line."""
    sidecar: HopLog | None = None
    """The access log line of the client's sidecar; None where there is none, as for the others."""
    ztunnel: HopLog | None = None
    """That of the node's ztunnel, in an ambient mesh."""
    waypoint: HopLog | None = None
    gateway: HopLog | None = None
    """That of the egress gateway."""
    forward_proxy: HopLog | None = None
    """That of the forward proxy outside the mesh."""
    cause: str = ""
    """The diagnosis of a failure, the message of an error, or the reason of a skip."""
    seconds: float = 0.0
    """curl's time_total."""
    attempts: int = 0
    """How often the probe was sent."""
    unsteady: tuple[str, ...] = ()
    """The answers that were not as expected although others were, `2 of 3 answers: ...`; the result may be passed."""
    status: int = 0
    """The HTTP status that curl saw; 0: no HTTP response."""
    exit: int | None = None
    """curl's exit code; None where no curl ran."""
    client: str = ""
    """The client that sent the probe, `<app label>.<namespace>`."""
    envoy_version: str = ""
    """The version of the client's Envoy."""
    server_saw: str = ""
    """What the external server reported about the request it received."""
    response_headers: tuple[str, ...] = ()
    """`name: value` as curl saw them; the name alone where the value differs each time."""
    differences: tuple[Difference, ...] = ()
    """Where it differs from the expected outcome."""
    equal_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values that the expected outcome accepts as the same, by field: exit, and the flags of each Envoy's line."""
    known_deviation: str = ""
    """Why the failure is accepted."""
    expired_deviation: str = ""
    """That it was accepted, until a day that has passed."""
    evidence: str = ""
    """The folder of the evidence files, relative to the report."""
    probes: tuple[Result, ...] = ()
    """All probes of a parameter that sent several, in that order; the parameter itself is the worst of them."""

    @classmethod
    def from_record(cls, record: Mapping[str, Any], nodeid: str) -> Result:
        """Read the fields that a fixture recorded, as JSON has them; a missing one keeps its default."""
        names = {item.name for item in fields(cls)}
        values = {name: _from_json(name, value) for name, value in record.items() if name in names and value}
        # Zeros have to stay: they are values of their own.
        values |= {name: record[name] for name in ("status", "exit") if record.get(name) is not None}
        return cls(**({"result": PASSED} | values | {"id": nodeid, "area": area_of(nodeid)}))

    @property
    def passed_unsteady(self) -> bool:
        """Whether it passed, but not with each of its answers."""
        return self.result == PASSED and bool(self.unsteady)

    @property
    def test(self) -> str:
        """The id of the test function."""
        return self.id.partition("[")[0]

    @property
    def parameter(self) -> str:
        """The id of the parameters, empty without any."""
        return self.id.partition("[")[2].removesuffix("]")


def _from_json(name: str, value: Any) -> Any:
    if name == "differences":
        return tuple(Difference.from_mapping(each) for each in value)
    if name in HOP_LOGS:
        return HopLog.from_mapping(value)
    if name == "equal_values":
        return {key: tuple(values) for key, values in value.items()}
    return tuple(value) if isinstance(value, list) else value


class Report(Protocol):
    """The parts of pytest's TestReport and CollectReport that are read here."""

    nodeid: str
    outcome: Any
    longrepr: Any
    user_properties: Any


@dataclass
class Results:
    """The results of one run, by id, in the order in which they arrived."""

    by_id: dict[str, Result] = field(default_factory=dict)

    def add(self, report: Report, when: str) -> None:
        """Add one report; `when` is pytest's phase. The worst result of all phases counts."""
        result = _result(report, when)
        if result is None:
            return
        before = self.by_id.get(result.id)
        if before is None or _rank(result) <= _rank(before):
            self.by_id[result.id] = result

    def all(self) -> list[Result]:
        """Return all results by area and id: a stable order, whatever order the workers had."""
        return sorted(self.by_id.values(), key=lambda result: (result.area, result.id))


def area_of(nodeid: str) -> str:
    """Return the folder of a test without the suite's own: `timeouts`; for a user's own test its folder or file."""
    path = nodeid.partition("::")[0].removeprefix("conformance/")
    return path.rpartition("/")[0] or path


def flattened(properties: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Spread records over pairs of name and text, as JUnit XML has them; leave other properties as they are.

    The fields of the first probe are `istio-egress.probe` and so on, those of the second `istio-egress.2.probe`.
    """
    pairs: list[tuple[str, Any]] = []
    records = 0
    for name, value in properties:
        if name in (PROPERTY, CASE_PROPERTY) and isinstance(value, Mapping):
            records += name == PROPERTY
            prefix = f"{PROPERTY}.{records}" if name == PROPERTY and records > 1 else PROPERTY
            pairs += [(f"{prefix}.{key}", _text(key, part)) for key, part in value.items() if _is_shown(key, part)]
        elif name == PHASES_PROPERTY and isinstance(value, Mapping):
            pairs += [(f"{PROPERTY}.seconds.{phase}", f"{seconds:.3f}") for phase, seconds in value.items()]
        else:
            pairs.append((name, value))
    return pairs


def _is_shown(key: str, part: Any) -> bool:
    return key not in _ONLY_COMPARED and part not in ("", None, [], {})


def _text(key: str, part: Any) -> str:
    if key in HOP_LOGS:
        return str(part["line"])
    if key == "differences":
        return "; ".join(str(Difference.from_mapping(each)) for each in part)
    return "; ".join(map(str, part)) if isinstance(part, list | tuple) else str(part)


def _rank(result: Result) -> int:
    return RESULTS.index(result.result) if result.result in RESULTS else 0


def _result(report: Report, when: str) -> Result | None:
    recorded = _recorded(report)
    if report.outcome == "passed":
        # A setup or teardown that passes is no result; a call that passes is, even if no fixture recorded one.
        return recorded or (_unrecorded(report, PASSED, "") if when == "call" else None)
    if report.outcome == "skipped":
        if recorded is not None and recorded.result == KNOWN_DEVIATION:
            return recorded
        return replace(recorded or _unrecorded(report, SKIPPED, ""), result=SKIPPED, cause=_skip_reason(report))
    if recorded is not None and recorded.result in (FAILED, ERROR) and when == "call":
        return recorded
    return replace(recorded or _unrecorded(report, ERROR, ""), result=ERROR, cause=_error(report, when))


def _unrecorded(report: Report, result: str, cause: str) -> Result:
    return Result.from_record(_case_fields(report) | {"result": result, "cause": cause}, report.nodeid)


def _case_fields(report: Report) -> dict[str, Any]:
    """Return the fields that do not depend on a probe."""
    found: dict[str, Any] = {}
    for name, value in report.user_properties:
        if name == CASE_PROPERTY and isinstance(value, Mapping):
            found |= value
    return found


def _recorded(report: Report) -> Result | None:
    """Return the result that the fixtures recorded; of several (a test that expects several outcomes) the worst."""
    records = [value for name, value in report.user_properties if name == PROPERTY and isinstance(value, Mapping)]
    case_fields = _case_fields(report)
    results = [Result.from_record({**case_fields, **record}, report.nodeid) for record in records]
    worst = min(results, key=lambda result: (_rank(result), not result.unsteady), default=None)
    if worst and len(results) > 1:
        worst = replace(
            worst,
            probes=tuple(replace(result, known_deviation="", expired_deviation="", evidence="") for result in results),
        )
    return (
        replace(worst, result=KNOWN_DEVIATION) if worst and worst.known_deviation and worst.result == FAILED else worst
    )


def recorded_result(report: Report) -> str | None:
    """Return the result that the fixtures recorded, None where they recorded none."""
    recorded = _recorded(report)
    return recorded.result if recorded else None


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
