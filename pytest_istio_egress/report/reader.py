"""Reads a conformance-report.yaml back, and says in one line what is wrong with one that can't be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from pytest_istio_egress.model.mesh_facts import Fact
from pytest_istio_egress.model.result_names import RESULTS
from pytest_istio_egress.model.text import one_line
from pytest_istio_egress.model.yaml_loader import SAFE_LOADER
from pytest_istio_egress.report.document import FORMAT, FORMAT_VERSION, READABLE_VERSIONS, Run, RunInfo
from pytest_istio_egress.report.results import Result, area_of

LARGEST = 32 * 1024 * 1024
"""Bytes; a report of ten thousand cases has half of it."""

DEEPEST = 20
"""Levels of lists and mappings in each other; a report has seven."""

AS_THEY_ARE = ("known", "expired", "evidence", "client", "probe", "expected", "gateway", "outside", "envoy_version")
"""The texts of a case that have the same name in a report and in a `Result`."""


class UnreadableError(Exception):
    """This is no report that can be compared; the message is one line: which file, what is wrong, what to do."""


def read_report(path: Path) -> Run:
    """Return the run that a file tells of; raises UnreadableError."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise UnreadableError(
                f"{path} has {size // 2**20} MiB, a report has {LARGEST // 2**20} MiB at most: is it the right file?"
            )
        with path.open("rb") as file:
            # A pipe or a device says no size; never read more of it than of a file.
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise UnreadableError(f"{path} has more than {LARGEST // 2**20} MiB: is it the right file?")
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path} is not text (UTF-8): name a conformance-report.yaml") from error
    except OSError as error:
        raise UnreadableError(
            f"{path} can't be read: {error.strerror}; write one with `pytest --istio-egress --istio-egress-report PATH`"
        ) from error
    return run_of(text, str(path))


def run_of(text: str, name: str) -> Run:
    """Return the run that a report's text tells of; raises UnreadableError, which calls it by `name`."""
    document = _loaded(text, name)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UnreadableError(f"{name} is not a report of pytest --istio-egress: it lacks `format: {FORMAT}`")
    version = document.get("version")
    if version not in READABLE_VERSIONS or isinstance(version, bool):
        known = isinstance(version, int) and version < FORMAT_VERSION
        other = "an older" if known else "another"
        raise UnreadableError(
            f"{name} was written by {other} version of the suite (report version {str(version)[:20]}, this one reads "
            f"{' and '.join(map(str, READABLE_VERSIONS))}): write it again with this one"
        )
    try:
        counted = int(_number(document["totals"]["cases"]))
        told = (result for behaviour in document["behaviours"] for result in _results(behaviour))
        results = list(islice(told, counted + 1))  # no more: anchors could make millions out of a small file
        about = _about(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"{name} is damaged or cut ({_what(error)}): write it again") from error
    if counted != len(results):
        raise UnreadableError(f"{name} is damaged or cut (not the {counted} cases it counts): write it again")
    if len({result.id for result in results}) < len(results):
        raise UnreadableError(f"{name} is damaged (it has a case twice): write it again")
    return Run(info=about, results=results)


def _loaded(text: str, name: str) -> Any:
    try:
        _check_depth(text)
        return yaml.load(text, Loader=SAFE_LOADER)  # noqa: S506  # it is safe
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not readable"
        raise UnreadableError(f"{name} is not YAML, or was cut{where} ({problem}): write it again") from error
    except (RecursionError, ValueError) as error:
        raise UnreadableError(f"{name} is no report: {_what(error)}") from error


def _check_depth(text: str) -> None:
    """Refuse what is nested deeper than any report: the C loader would run out of stack, and take Python along."""
    depth = 0
    for event in yaml.parse(text, Loader=SAFE_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise RecursionError


def _what(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {str(error.args[0])[:40]}"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return one_line(error)[:80]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, found {type(value).__name__}")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"a list expected, found {type(value).__name__}")
    return tuple(_text(item) for item in value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a number expected, found {type(value).__name__}")
    return float(value)


def _about(document: dict[str, Any]) -> RunInfo:
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
            _text(name): None if said["found"] else _text(said.get("reason", ""))
            for name, said in document["features"].items()
        },
        facts={
            _text(name): Fact(**{_text(key): _text(value) for key, value in said.items()})
            for name, said in mesh.get("facts", {}).items()
        },
        run=_text(run["id"]),
        began=_text(run["began"]),
        seconds=_number(run["seconds"]),
        complete=run["complete"] is True,
        stopped=_text(run.get("stopped", "")),
        options=_texts(run.get("asking", [])),
        tools={_text(name): _text(version) for name, version in run.get("tools", {}).items()},
    )


def _results(behaviour: dict[str, Any]) -> Iterator[Result]:
    says, source = _text(behaviour["says"]), _text(behaviour["source"])
    for case in behaviour["cases"]:
        known = {"case": _text(case["id"]), "says": says, "source": source}
        yield replace(
            _result(case, known), probes=tuple(_result(probe, known) for probe in islice(case.get("probes", []), 1000))
        )


def _result(case: dict[str, Any], known: dict[str, str]) -> Result:
    """Read a case, or one probe of it; `known` is what both have in common."""
    outcome = _text(case["outcome"])
    if outcome not in RESULTS:
        raise ValueError(f"an unknown outcome, {outcome[:30]}")
    seen = case.get("seen", {"status": None, "exit": None, "seconds": 0.0, "attempts": 0})
    given: dict[str, Any] = {key: _text(case.get(key, "")) for key in AS_THEY_ARE}
    return Result(
        result=outcome,
        area=area_of(known["case"]),
        cause=_text(case.get("reason") or case.get("error") or case.get("cause") or ""),
        sidecar=_text(case.get("sidecar", "")),
        forward_proxy=_text(case.get("forward_proxy", "")),
        status=int(_number(seen["status"] or 0)),
        exit=None if seen["exit"] is None else int(_number(seen["exit"])),
        seconds=_number(seen["seconds"]),
        attempts=int(_number(seen["attempts"])),
        response_headers=_texts(case.get("answer_headers", [])),
        differences=_texts(case.get("differences", [])),
        **(given | known),
    )
