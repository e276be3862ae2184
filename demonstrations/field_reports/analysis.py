"""What `istioctl analyze` says of a mesh with a mistake, beside the sentences of the suite."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mistakes import Report

ANALYSES = "FIELD_REPORTS_ANALYSES"
"""The environment variable with the folder that messages are written to, one file per report."""
ISTIOCTL = "FIELD_REPORTS_ISTIOCTL"
"""The environment variable with the command line of istioctl, words separated by a space."""
_LEVELS = ("Error", "Warning")
_AT_MOST = 120
"""Characters of a message on the page."""


@dataclass(frozen=True)
class Message:
    """One message of istioctl analyze."""

    code: str
    """Such as IST0101."""
    text: str


def analyze(report: Report) -> None:
    """Run istioctl on the mesh as it is now, and write its messages for a report."""
    command = [*os.environ[ISTIOCTL].split(" "), "analyze", "--all-namespaces", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        raise RuntimeError(f"istioctl analyze failed: {done.stderr.strip()}")
    file_of(report, Path(os.environ[ANALYSES])).write_text(done.stdout)


def file_of(report: Report, folder: Path) -> Path:
    """Return the file with the messages for a report."""
    return folder / f"analyze-{report.id}.json"


def messages(report: Report, folder: Path) -> list[Message] | None:
    """Return the warnings and errors for a report, each once; None where istioctl was not run."""
    file = file_of(report, folder)
    if not file.exists():
        return None
    found = [
        Message(entry["code"], " ".join(entry["message"].split()))
        for entry in json.loads(file.read_text())
        if entry["level"] in _LEVELS
    ]
    return list(dict.fromkeys(found))


def cell(report: Report, found: Sequence[Message] | None, of_all: frozenset[Message]) -> str:
    """Return the cell of the page: one message that is not about all reports, and whether it is the mistake."""
    if found is None:
        return "not run"
    own = [message for message in found if message not in of_all]
    if not own:
        return "nothing"
    named = [message for message in own if message.code == report.analyze_names_it_by]
    first = (named or own)[0]
    text = first.text if len(first.text) <= _AT_MOST else f"{first.text[:_AT_MOST]}..."
    return ("names it: " if named else "something else: ") + f"{first.code} {text}"
