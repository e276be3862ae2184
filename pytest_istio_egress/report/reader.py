"""Reads a conformance-report.yaml; an unreadable one is an error of one line that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.model.hop_log import HopLog
from pytest_istio_egress.model.mesh_facts import Fact
from pytest_istio_egress.model.result_names import RESULTS
from pytest_istio_egress.model.text import one_line
from pytest_istio_egress.model.yaml_loader import SAFE_LOADER
from pytest_istio_egress.report.document import FORMAT, FORMAT_VERSION, Run, RunInfo
from pytest_istio_egress.report.older_formats import OLDER_VERSIONS, current_format
from pytest_istio_egress.report.results import HOP_LOGS, Result, area_of

READABLE_VERSIONS = (*OLDER_VERSIONS, FORMAT_VERSION)

LARGEST = 32 * 1024 * 1024
"""Bytes; a report of ten thousand parameters has half of it."""

DEEPEST = 20
"""Levels of nested lists and mappings; a report has eight."""

MOST_PROBES = 1000
"""Probes of one parameter."""

TEXTS = (
    "known_deviation", "expired_deviation", "evidence", "client", "probe", "expected", "server_saw", "envoy_version",
)  # fmt: skip
"""The texts that have the same name in a report and in a `Result`."""


class UnreadableError(Exception):
    """The file is not a report that can be compared; the message is one line: file, problem, remedy."""


def read_report(path: Path) -> Run:
    """Return the run of a report file; raises UnreadableError."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise UnreadableError(
                f"{path}: {size // 2**20} MiB is too large for a report (limit {LARGEST // 2**20} MiB); "
                "pass a conformance-report.yaml"
            )
        with path.open("rb") as file:
            # A pipe or a device has no size; never read more of it than of a file.
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise UnreadableError(
                f"{path}: too large for a report (limit {LARGEST // 2**20} MiB); pass a conformance-report.yaml"
            )
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path}: not text (UTF-8); pass a conformance-report.yaml") from error
    except OSError as error:
        raise UnreadableError(
            f"{path}: cannot read it: {error.strerror}; write a report with "
            "`pytest --istio-egress --istio-egress-report PATH`"
        ) from error
    return run_of(text, str(path))


def run_of(text: str, name: str) -> Run:
    """Return the run of a report's text; raises UnreadableError, whose message begins with `name`."""
    document = _loaded(text, name)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UnreadableError(f"{name}: not a report of pytest --istio-egress: missing `format: {FORMAT}`")
    version = document.get("version")
    if version not in READABLE_VERSIONS or isinstance(version, bool):
        raise UnreadableError(
            f"{name}: unsupported report version {str(version)[:20]} (choose from "
            f"{', '.join(map(str, READABLE_VERSIONS))}); write the report again with this version of the suite"
        )
    try:
        document = current_format(document)
        total = int(_number(document["totals"]["parameters"]))
        # Never more than that: with YAML's anchors a small file can stand for millions.
        results = list(islice((result for test in document["tests"] for result in _results(test)), total + 1))
        info = _info(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"{name}: damaged or truncated ({_problem(error)}); write the report again") from error
    if total != len(results):
        raise UnreadableError(
            f"{name}: damaged ({total} parameters according to its totals, but {len(results)} found); "
            "write the report again"
        )
    if len({result.id for result in results}) != len(results):
        raise UnreadableError(f"{name}: damaged (duplicate parameter); write the report again")
    return Run(info=info, results=results)


def _loaded(text: str, name: str) -> Any:
    try:
        _check_depth(text)
        return yaml.load(text, Loader=SAFE_LOADER)  # noqa: S506  # it is safe
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not readable"
        raise UnreadableError(f"{name}: not YAML, or truncated{line} ({problem}); write the report again") from error
    except (RecursionError, ValueError) as error:
        raise UnreadableError(f"{name}: not a report: {_problem(error)}") from error


def _check_depth(text: str) -> None:
    """Reject what is nested deeper than any report: the C loader would exhaust the stack and crash Python."""
    depth = 0
    for event in yaml.parse(text, Loader=SAFE_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise RecursionError


def _problem(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"missing key {str(error.args[0])[:40]!r}"
    if isinstance(error, RecursionError):
        return "nested too deep"
    return one_line(error)[:80]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, got {type(value).__name__}")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in _list(value))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"a list expected, got {type(value).__name__}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a number expected, got {type(value).__name__}")
    return float(value)


def _info(document: Mapping[str, Any]) -> RunInfo:
    target, versions, mesh, run = (document[name] for name in ("target", "versions", "mesh", "run"))
    return RunInfo(
        suite=_text(document["suite"]["version"]),
        target=_text(target["kind"]),
        context=_text(target["context"]),
        notes=_texts(target["notes"]),
        kubernetes=_text(versions["kubernetes"]),
        istio=_text(versions["istio"]),
        outbound_mode=_text(mesh["outbound_mode"]),
        gateway=_text(mesh["egress_gateway"]),
        features={
            _text(name): None if feature["available"] else _text(feature.get("reason", ""))
            for name, feature in document["features"].items()
        },
        facts={
            _text(name): Fact(**{_text(key): _text(value) for key, value in fact.items()})
            for name, fact in mesh.get("facts", {}).items()
        },
        run=_text(run["id"]),
        began=_text(run["began"]),
        seconds=_number(run["seconds"]),
        complete=run["complete"] is True,
        stopped=_text(run.get("stopped", "")),
        options=_texts(run.get("options", [])),
        tools={_text(name): _text(version) for name, version in run.get("tools", {}).items()},
    )


def _results(test: Mapping[str, Any]) -> Iterator[Result]:
    summary, source = _text(test["summary"]), _text(test["source"])
    for parameter in test["parameters"]:
        common = {"id": _text(parameter["id"]), "summary": summary, "source": source}
        probes: Iterable[Any] = islice(parameter.get("probes", []), MOST_PROBES)
        yield replace(_result(parameter, common), probes=tuple(_result(probe, common) for probe in probes))


def _result(described: Mapping[str, Any], common: Mapping[str, str]) -> Result:
    """Read a parameter, or one of its probes; `common` are the fields that both share."""
    result = _text(described["result"])
    if result not in RESULTS:
        raise ValueError(f"unknown result {result[:30]!r}")
    seen = described.get("seen", {"status": None, "exit": None, "seconds": 0.0, "attempts": 0})
    texts: dict[str, Any] = {name: _text(described.get(name, "")) for name in TEXTS}
    logs: dict[str, Any] = {name: HopLog.from_mapping(described[name]) for name in HOP_LOGS if name in described}
    return Result(
        result=result,
        area=area_of(common["id"]),
        cause=_text(described.get("reason") or described.get("error") or described.get("cause") or ""),
        status=int(_number(seen["status"] or 0)),
        exit=None if seen["exit"] is None else int(_number(seen["exit"])),
        seconds=_number(seen["seconds"]),
        attempts=int(_number(seen["attempts"])),
        unsteady=_texts(described.get("unsteady", [])),
        assigned_addresses=_texts(described.get("assigned_addresses", [])),
        response_headers=_texts(described.get("response_headers", [])),
        differences=tuple(Difference.from_mapping(each) for each in _list(described.get("differences", []))),
        equal_values={_text(name): _texts(values) for name, values in described.get("equal_values", {}).items()},
        **(texts | logs | dict(common)),
    )
