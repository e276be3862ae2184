"""The result of a run of the suite."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """The exit code and the output of pytest, and the outcome of each test by its id."""

    exit: int
    output: str
    outcomes: dict[str, str]

    def ids(self, outcome: str) -> set[str]:
        """Return the tests with an outcome: passed, skipped, failure or error."""
        return {name for name, each in self.outcomes.items() if each == outcome}


RunSuite = Callable[..., Run]


def environment() -> dict[str, str]:
    """Return the environment without the variables of pytest and of the plugin."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "ISTIO_EGRESS_"))}


def read_outcomes(results: Path) -> dict[str, str]:
    outcomes = {}
    for case in ElementTree.parse(results).iter("testcase"):  # written by our own pytest
        tags = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        outcomes[f"{case.get('classname')}::{case.get('name')}"] = tags[0] if tags else "passed"
    return outcomes
