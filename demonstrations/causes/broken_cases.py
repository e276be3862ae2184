"""Runs copies of the tests that broken.yaml names, and compares their results with the expected ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from broken import SIDECARS, Broken
from broken_mesh import ALONE, ENTRIES

from pytest_istio_egress.model.result_names import FAILED
from pytest_istio_egress.report.reader import read_report
from pytest_istio_egress.report.results import Result
from pytest_istio_egress.suite.discovery import suite_folder


@dataclass(frozen=True)
class BrokenResult:
    """The result of a broken test, and its cause or error as one text."""

    result: str = "not run"
    sentence: str = ""

    def mismatch(self, broken: Broken) -> str:
        """Return what differs from the entry, empty where nothing does."""
        if self.result != broken.result:
            return f"expected {broken.result}, got {self.result}"
        missing = [phrase for phrase in broken.phrases if phrase.lower() not in self.sentence.lower()]
        return f"the sentence lacks {', '.join(map(repr, missing))}" if missing else ""


@dataclass(frozen=True)
class BrokenRun:
    """The results of a run by the entry's number, and pytest's output."""

    results: dict[int, BrokenResult] = field(default_factory=dict)
    others: dict[int, dict[str, str]] = field(default_factory=dict)
    """The sentences on the other parameters of the same test that failed, by parameter."""
    output: str = ""

    def false_sentences(self, broken: Broken) -> dict[str, str]:
        """Return the sentences on other parameters of an entry's test that are not true of its mesh."""
        others = self.others.get(broken.number, {})
        return {name: sentence for name, sentence in others.items() if not broken.is_true(sentence)}

    def of(self, broken: Broken) -> BrokenResult:
        """Return the result of an entry."""
        return self.results.get(broken.number, BrokenResult())


def run_broken(
    entries: Sequence[Broken], kubeconfig: Path, arguments: Sequence[str] = (), *, file: Path = SIDECARS
) -> BrokenRun:
    """Run broken tests of a file on a cluster: first those that can run together, then each of the others alone."""
    together = [broken for broken in entries if not _alone(broken)]
    groups = [(together, arguments)] if together else []
    groups += [([broken], ("--istio-egress-timeout-scale", "0.5")) for broken in entries if _alone(broken)]
    whole = BrokenRun()
    for group, options in groups:
        ran = _run_group(group, kubeconfig, options, file)
        whole = BrokenRun(whole.results | ran.results, whole.others | ran.others, whole.output + ran.output)
    return whole


def _alone(broken: Broken) -> bool:
    """Whether an entry concerns the whole mesh: no other test may run at the same time."""
    return broken.alone or broken.live in ALONE


def _run_group(group: Sequence[Broken], kubeconfig: Path, arguments: Sequence[str], file: Path) -> BrokenRun:
    with tempfile.TemporaryDirectory() as folder:
        for broken in group:
            copy = Path(folder, broken.folder)
            shutil.copytree(suite_folder() / broken.parameter.partition("/")[0], copy)
            for copied in [*copy.glob("*.py"), *copy.glob("*.yaml")]:
                copied.write_text(broken.rename(copied.read_text()))
        report = Path(folder, "report.yaml")
        done = subprocess.run(
            [
                sys.executable, "-m", "pytest", "--istio-egress", "-p", "broken_mesh", "-p", "no:cacheprovider",
                "--import-mode=importlib", "--istio-egress-kubeconfig", str(kubeconfig),
                "--istio-egress-report", str(report), *arguments, *dict.fromkeys(broken.test_id for broken in group),
            ],
            cwd=folder,
            env={**_environment(), "PYTHONPATH": str(Path(__file__).parent), ENTRIES: str(file)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )  # fmt: skip
        if not report.exists():
            return BrokenRun(output=done.stdout)
        found = list(read_report(report).results)
        return BrokenRun(_results(group, found), _others(group, found), done.stdout)


def _results(group: Iterable[Broken], found: Iterable[Result]) -> dict[int, BrokenResult]:
    return {
        broken.number: BrokenResult(result.result, broken.restore_names(result.cause))
        for broken in group
        for result in found
        if result.id.endswith(broken.copy_id)
    }


def _others(group: Iterable[Broken], found: Iterable[Result]) -> dict[int, dict[str, str]]:
    return {
        broken.number: {
            result.id.partition("::")[2]: broken.restore_names(result.cause)
            for result in found
            if broken.test_id in result.id and not result.id.endswith(broken.copy_id) and result.result == FAILED
        }
        for broken in group
    }


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "ISTIO_EGRESS_"))}
