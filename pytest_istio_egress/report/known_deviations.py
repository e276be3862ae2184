"""Accepted deviations: those that a file lists with a reason and an expiry date, and the failures of a baseline."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from pytest_istio_egress.model.result_names import FAILED, KNOWN_DEVIATION, PASSED, SKIPPED
from pytest_istio_egress.report.document import Run
from pytest_istio_egress.report.results import Result

KEYS = ("test", "reason", "expires")


class DeviationsError(Exception):
    """A file of known deviations is invalid; the message is one line: file, entry, problem."""


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """One entry of the file."""

    test: str
    """The id of a test or of a parameter; `*` stands for any text and `?` for one character."""
    reason: str
    expires: date
    """The last day on which the deviation is accepted."""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Not fnmatch: an id contains brackets, which fnmatch would take for a set of characters.
        parts = (
            ".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", self.test)
        )
        return re.compile("".join(parts), re.DOTALL)

    def covers(self, nodeid: str) -> bool:
        """Whether the entry is about a parameter; the id of a test covers all its parameters."""
        return nodeid == self.test or nodeid.startswith(self.test + "[") or self._pattern.fullmatch(nodeid) is not None


@dataclass(frozen=True, kw_only=True)
class AcceptedDeviations:
    """The deviations that a run accepts."""

    today: date
    deviations: tuple[Deviation, ...] = ()
    """The entries of the file."""
    baseline: Run | None = None
    baseline_name: str = ""
    """The name of the baseline's file."""
    _before: dict[str, Result] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.baseline:
            self._before.update({result.id: result for result in self.baseline.results})

    def reason(self, nodeid: str) -> str | None:
        """Return why a failure of a parameter is accepted, None where it is not."""
        for entry in self.deviations:
            if entry.covers(nodeid) and entry.expires >= self.today:
                return f"{entry.reason} (until {entry.expires})"
        before = self._before.get(nodeid)
        if before is not None and before.result in (FAILED, KNOWN_DEVIATION):
            return f"failed in the baseline {self.baseline_name} too"
        return None

    def expired(self, nodeid: str) -> str | None:
        """Return a line on an entry that has expired for a parameter, None where there is none."""
        over = [entry for entry in self.deviations if entry.covers(nodeid) and entry.expires < self.today]
        if not over or self.reason(nodeid):
            return None
        return f"accepted until {over[0].expires}: {over[0].reason}"

    def missing(self, results: Iterable[Result], *, selection: Iterable[str] | None) -> list[str]:
        """Return what ran in the baseline but not in this run, one line each: a gap must not look like success.

        `selection` are the paths and ids that the run was limited to, None where it was not limited.
        """
        now = {result.id: result for result in results}
        limits = None if selection is None else list(selection)
        lines = []
        for nodeid, before in sorted(self._before.items()):
            after = now.get(nodeid)
            if after is None:
                if limits is None or any(_within(nodeid, limit) for limit in limits):
                    lines.append(f"{nodeid}: {before.result} in the baseline, not part of this run")
            elif after.result == SKIPPED and before.result in (PASSED, FAILED, KNOWN_DEVIATION):
                lines.append(f"{nodeid}: {before.result} in the baseline, skipped in this run ({after.cause})")
        return lines

    def unused(self, results: Iterable[Result]) -> list[str]:
        """Return a line for each entry that matches no parameter, or only parameters that passed."""
        all_results = list(results)
        lines = []
        for entry in self.deviations:
            covered = [result for result in all_results if entry.covers(result.id)]
            if not covered:
                lines.append(f"known deviation {entry.test!r} matches no parameter of this run: correct or remove it")
            elif all(result.result == PASSED for result in covered):
                lines.append(f"known deviation {entry.test!r} has passed: remove it")
        return lines


def read_deviations(path: Path) -> tuple[Deviation, ...]:
    """Return the entries of a file; raises DeviationsError."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeviationsError(f"{path}: cannot read it: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DeviationsError(f"{path}: not text (UTF-8)") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise DeviationsError(f"{path}: not YAML" + (f" (line {mark.line + 1})" if mark else "")) from error
    listed = document.get("deviations") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise DeviationsError(f"{path}: missing key 'deviations', a list of entries with {', '.join(KEYS)}")
    return tuple(_deviation(entry, f"{path}: entry {number}") for number, entry in enumerate(listed, start=1))


def _deviation(entry: Any, place: str) -> Deviation:
    if not isinstance(entry, Mapping):
        raise DeviationsError(f"{place}: not a mapping with {', '.join(KEYS)}")
    for key in KEYS:
        if key not in entry:
            raise DeviationsError(f"{place}: missing key {key!r}")
    if unknown := sorted(str(key) for key in entry.keys() - set(KEYS)):
        raise DeviationsError(f"{place}: unknown key {', '.join(map(repr, unknown))} (choose from {', '.join(KEYS)})")
    for key in ("test", "reason"):
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise DeviationsError(f"{place}: {key!r} is not a text; quote it if it contains ': '")
    # A datetime is a date too, but cannot be compared with one.
    if type(entry["expires"]) is not date:
        raise DeviationsError(f"{place}: 'expires' is not a date such as 2027-01-31")
    return Deviation(test=entry["test"], reason=" ".join(entry["reason"].split()), expires=entry["expires"])


def _within(nodeid: str, limit: str) -> bool:
    return nodeid == limit or any(nodeid.startswith(limit.rstrip("/") + end) for end in ("/", "::", "["))
