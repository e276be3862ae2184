"""The entries of reports.yaml and further_mistakes.yaml; the head of the first explains the fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

BROKEN, MENDED = STATES = ("broken", "mended")
RULES = {"reports.yaml": "test_field_reports.py", "further_mistakes.yaml": "test_further_mistakes.py"}
"""The file with the rules of each file of entries."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is done to the cluster for one state of a report."""

    manifests: str | Sequence[str] = ""
    remove: Sequence[str] = ()
    annotations: Mapping[str, str] | None = None
    mesh: Mapping[str, Any] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict)
    requests: Sequence[str] = ()

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The documents to apply."""
        texts = [self.manifests] if isinstance(self.manifests, str) else self.manifests
        return [document for text in texts for document in yaml.safe_load_all(text) if document]


@dataclass(frozen=True, kw_only=True)
class Report:
    """One entry."""

    id: str
    rules: str
    """The file of its rule, below rules/."""
    report: str
    mistake: str
    broken: Change
    mended: Change
    phrases: Sequence[str]
    analyze_names_it_by: str = ""
    """The code of the message by which istioctl analyze names the mistake; empty where it does not."""
    passes: str = ""
    """Why the rule passes although the mistake is there; empty where it fails."""

    def changes(self, state: str) -> list[Change]:
        """Return what is done for a state, in order."""
        return [self.broken] if state == BROKEN else [self.broken, self.mended]

    def judgement(self, sentence: str) -> str:
        """Return whether a sentence names the root cause: true, none, or `wrong or partly`, to be read by a person."""
        if not sentence or sentence.startswith("No known cause"):
            return "none"
        named = all(phrase.lower() in sentence.lower() for phrase in self.phrases)
        return "true" if named else "wrong or partly"


def load() -> list[Report]:
    """Read the entries of all files."""
    return [_report(entry, rules) for file, rules in RULES.items() for entry in _entries(file)]


def _entries(file: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name(file).read_text())
    return entries


def _report(entry: dict[str, Any], rules: str) -> Report:
    changes = {state: Change(**(entry.get(state) or {})) for state in STATES}
    return Report(**{**entry, **changes, "rules": rules})
