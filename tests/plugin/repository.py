"""Runs pytest on a small suite made for the test, in an empty folder that is a user's repository."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from textwrap import dedent

import pytest

CASES = {
    "dns/test_http.py": """
        def test_resolved(egress):
            egress()
    """,
    "timeouts/test_http.py": """
        import pytest

        @pytest.mark.parametrize("seconds", [1, 2])
        def test_timeout(egress, seconds):
            egress()

        def test_retries(egress):
            egress()
    """,
    "mesh_wide/test_policy.py": """
        def test_policy(egress):
            egress()
    """,
}
IDS = [
    "conformance/dns/test_http.py::test_resolved",
    "conformance/timeouts/test_http.py::test_timeout[1]",
    "conformance/timeouts/test_http.py::test_timeout[2]",
    "conformance/timeouts/test_http.py::test_retries",
    "conformance/mesh_wide/test_policy.py::test_policy",
]


class Repository:
    """A user's folder, and a suite in another one."""

    def __init__(self, pytester: pytest.Pytester, elsewhere: Path) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.suite = elsewhere / "conformance"
        self.notes = elsewhere / "notes"
        self.write(CASES)

    def write(self, cases: dict[str, str]) -> None:
        """Write modules into the suite."""
        for name, text in cases.items():
            module = self.suite / name
            module.parent.mkdir(parents=True, exist_ok=True)
            module.write_text(dedent(text))

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest with the stand-in, in a subprocess."""
        os.environ["STAND_IN_SUITE"] = str(self.suite)
        os.environ["STAND_IN_NOTES"] = str(self.notes)
        return self.pytester.runpytest_subprocess("-p", "stand_in", *arguments)

    def ids(self, *arguments: str) -> list[str]:
        """Return the ids that pytest collects."""
        result = self.run("--istio-egress", "--collect-only", "-q", *arguments)
        return [line for line in result.outlines if "::" in line]

    def notes_of(self, word: str) -> list[str]:
        """Return the notes of the stand-in that begin with a word."""
        lines: Iterable[str] = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [line for line in lines if line.startswith(word)]
