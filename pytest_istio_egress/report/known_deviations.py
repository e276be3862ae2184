"""Which deviations are no news: those that a file lists with a reason and an end, and those that a baseline has."""

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

KEYS = ("case", "reason", "expires")


class DeviationsError(Exception):
    """A file of known deviations can't be used; the message is one line: which file and entry, what is wrong."""


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """One entry: a case's id, in which `*` and `?` stand for any text; why it deviates; the last day of its grace."""

    test: str
    reason: str
    expires: date

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Not fnmatch: an id holds brackets, which there would be a choice of letters.
        parts = (
            ".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", self.test)
        )
        return re.compile("".join(parts), re.DOTALL)

    def covers(self, case: str) -> bool:
        """Whether the entry is about a case; the id of a test function is about all its parameters."""
        return case == self.test or case.startswith(self.test + "[") or self._pattern.fullmatch(case) is not None


@dataclass(frozen=True, kw_only=True)
class AcceptedDeviations:
    """What a run has been told beforehand; `baseline_name` is how the baseline's file was called."""

    today: date
    deviations: tuple[Deviation, ...] = ()
    baseline: Run | None = None
    baseline_name: str = ""
    _before: dict[str, Result] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.baseline:
            self._before.update({result.id: result for result in self.baseline.results})

    def reason(self, case: str) -> str | None:
        """Return why a deviation of a case is no news; None where it is a failure."""
        for entry in self.deviations:
            if entry.covers(case) and entry.expires >= self.today:
                return f"{entry.reason} (until {entry.expires})"
        before = self._before.get(case)
        if before is not None and before.result in (FAILED, KNOWN_DEVIATION):
            return f"the baseline {self.baseline_name} has it already"
        return None

    def expired(self, case: str) -> str | None:
        """Return what to say of a case whose grace is over, None for any other."""
        over = [entry for entry in self.deviations if entry.covers(case) and entry.expires < self.today]
        return f"its grace ended on {over[0].expires}: {over[0].reason}" if over and not self.reason(case) else None

    def missing(self, results: Iterable[Result], *, asked: Iterable[str] | None) -> list[str]:
        """Return what the baseline had and this run lacks, one line each; such a gap must not look like success.

        `asked` are the paths and ids that the run was limited to, None where nothing limited it.
        """
        now = {result.id: result for result in results}
        limits = None if asked is None else list(asked)
        lines = []
        for case, before in sorted(self._before.items()):
            after = now.get(case)
            if after is None:
                if limits is None or any(_within(case, limit) for limit in limits):
                    lines.append(f"{case}: the baseline has it ({before.result}), this run does not")
            elif after.result == SKIPPED and before.result in (PASSED, FAILED, KNOWN_DEVIATION):
                lines.append(f"{case}: the baseline asked it, this run can't ({after.cause})")
        return lines

    def unused(self, results: Iterable[Result]) -> list[str]:
        """Return what to say of entries that match nothing, or nothing that still deviates."""
        found = list(results)
        lines = []
        for entry in self.deviations:
            covered = [result for result in found if entry.covers(result.id)]
            if not covered:
                lines.append(f"the known deviation {entry.test} matches no case of this run: correct or remove it")
            elif all(result.result == PASSED for result in covered):
                lines.append(f"the known deviation {entry.test} holds by now: remove it")
        return lines


def read_deviations(path: Path) -> tuple[Deviation, ...]:
    """Return the entries of a file; raises DeviationsError."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeviationsError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DeviationsError(f"{path} is not text (UTF-8)") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise DeviationsError(f"{path} is not YAML" + (f" at line {mark.line + 1}" if mark else "")) from error
    listed = document.get("deviations") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise DeviationsError(f"{path} has to be `deviations:` with a list of case, reason and expires below it")
    return tuple(_deviation(entry, f"{path}, entry {number}") for number, entry in enumerate(listed, start=1))


def _deviation(entry: Any, where: str) -> Deviation:
    if not isinstance(entry, Mapping):
        raise DeviationsError(f"{where} has to have case, reason and expires")
    for key in KEYS:
        if key not in entry:
            raise DeviationsError(f"{where} lacks {key}")
    if unknown := sorted(str(key) for key in entry.keys() - set(KEYS)):
        raise DeviationsError(f"{where} knows no {', '.join(unknown)}")
    for key in ("case", "reason"):
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise DeviationsError(f"{where}: {key} has to be text; quote it where it holds ': '")
    # A datetime is a date too, but can't be compared with one.
    if type(entry["expires"]) is not date:
        raise DeviationsError(f"{where}: expires has to be a day such as 2027-01-31")
    return Deviation(test=entry["case"], reason=" ".join(entry["reason"].split()), expires=entry["expires"])


def _within(case: str, limit: str) -> bool:
    return case == limit or any(case.startswith(limit.rstrip("/") + end) for end in ("/", "::", "["))
