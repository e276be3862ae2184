"""Excerpts of the reports for the page, without paths of this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

SCHEMA = Path(__file__).parents[2] / "pytest_istio_egress" / "report" / "conformance_report.schema.json"
SHOWN = "failed"


def neutral(text: str) -> str:
    """Remove paths of this machine."""
    return text.replace(str(Path.home()), "~")


def checked(report: Path) -> str:
    """Check a report against the schema; exit where it does not match."""
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(SCHEMA), str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{report} does not match its schema:\n{done.stdout}{done.stderr}")
    return f"Its output for the report of the whole suite: {done.stdout.strip()}."


def dumped(value: Any) -> str:
    """Return YAML in the width of a page."""
    return neutral(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110))


def failing(document: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter that failed, one with a gateway on its path if there is one."""
    parameters: list[dict[str, Any]] = [each for test in document["tests"] for each in test["parameters"]]
    failed = [each for each in parameters if each["result"] == SHOWN and each.get("evidence") and "seen" in each]
    return next((each for each in failed if "gateway" in each), failed[0])


def properties(results: Path, nodeid: str) -> str:
    """Return the properties of a parameter in a JUnit file, one per line."""
    name = nodeid.rpartition("::")[2]
    for found in ElementTree.parse(results).iter("testcase"):  # noqa: S314  # our own file, just written
        if found.get("name") == name:
            pairs = [(one.get("name"), one.get("value") or "") for one in found.iter("property")]
            return "\n".join(f"{key} = {value[:90]}{'...' if len(value) > 90 else ''}" for key, value in pairs)
    return ""


def steps(results: Path, nodeid: str) -> str:
    """Return the steps of a parameter in Allure's results, and the attachments of each."""
    name = nodeid.rpartition("::")[2]
    for path in sorted(results.glob("*-result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["name"] == name:
            return "\n".join(
                f"{step['name']}\n" + "\n".join(f"    {one['name']} ({one['type']})" for one in step["attachments"])
                for step in result.get("steps", [])
            )
    return ""
