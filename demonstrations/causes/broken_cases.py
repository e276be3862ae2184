"""Runs copies of the cases that broken.yaml names, and holds what was said against what it tells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from broken import Broken
from broken_mesh import ALONE

from pytest_istio_egress.suite.discovery import suite_folder


@dataclass(frozen=True)
class Seen:
    """What became of one cause: outcome and sentence, and pytest's own output for whoever wants to know more."""

    outcome: str = "not run"
    sentence: str = ""

    def wrong(self, broken: Broken) -> str:
        """Say what is not as told, empty where all is."""
        if self.outcome != {"failure": "failed"}.get(broken.outcome, broken.outcome):
            return f"{broken.outcome} was expected, seen: {self.outcome}"
        missing = [part for part in broken.says if part.lower() not in self.sentence.lower()]
        return f"the sentence lacks {', '.join(map(repr, missing))}" if missing else ""


@dataclass(frozen=True)
class CommandResult:
    """What a run found out, by the cause's number, and what pytest printed."""

    seen: dict[int, Seen] = field(default_factory=dict)
    output: str = ""


def ask(all_broken: Sequence[Broken], kubeconfig: Path, arguments: Sequence[str] = ()) -> CommandResult:
    """Run the broken cases on a cluster: those that share it side by side, then those that can't, each alone."""
    shared = [broken for broken in all_broken if broken.live not in ALONE]
    groups = [(shared, arguments)] if shared else []
    groups += [([broken], ("--istio-egress-timeout-scale", "0.5")) for broken in all_broken if broken.live in ALONE]
    seen: dict[int, Seen] = {}
    output = ""
    for group, more in groups:
        ran = _ask_together(group, kubeconfig, more)
        seen |= ran.seen
        output += ran.output
    return CommandResult(seen, output)


def _ask_together(group: Sequence[Broken], kubeconfig: Path, arguments: Sequence[str]) -> CommandResult:
    with tempfile.TemporaryDirectory() as folder:
        for broken in group:
            copied = Path(folder, broken.folder)
            shutil.copytree(suite_folder() / broken.case.partition("/")[0], copied)
            for file in [*copied.glob("*.py"), *copied.glob("*.yaml")]:
                file.write_text(broken.own(file.read_text()))
        report = Path(folder, "report.yaml")
        done = subprocess.run(
            [
                sys.executable, "-m", "pytest", "--istio-egress", "-p", "broken_mesh", "-p", "no:cacheprovider",
                "--import-mode=importlib", "--istio-egress-kubeconfig", str(kubeconfig),
                "--istio-egress-report", str(report), *arguments, *(broken.item for broken in group),
            ],
            cwd=folder,
            env={**_environment(), "PYTHONPATH": str(Path(__file__).parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )  # fmt: skip
        found = yaml.safe_load(report.read_text()) if report.exists() else {"tests": []}
    cases = [parameter for test in found["tests"] for parameter in test["parameters"]]
    seen = {
        broken.number: Seen(str(case["result"]), broken.shared(str(case.get("cause") or case.get("error") or "")))
        for broken in group
        for case in cases
        if str(case["id"]).endswith(broken.item)
    }
    return CommandResult(seen, done.stdout)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "ISTIO_EGRESS_"))}
