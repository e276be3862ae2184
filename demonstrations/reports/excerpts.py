"""What the page shows of the reports: parts of each, without what is this machine's own."""

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
    """Leave out where things lie on this machine."""
    return text.replace(str(Path.home()), "~")


def checked(report: Path) -> str:
    """Check a report against the schema; ends the command where it does not fit."""
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(SCHEMA), str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{report} does not fit its schema:\n{done.stdout}{done.stderr}")
    return f"which says of the whole suite's report: {done.stdout.strip()}."


def dumped(value: Any) -> str:
    """Return YAML, as wide as a page is."""
    return neutral(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110))


def failing(document: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter that failed, one with a gateway on its path if there is one."""
    parameters: list[dict[str, Any]] = [each for test in document["tests"] for each in test["parameters"]]
    failed = [each for each in parameters if each["result"] == SHOWN and each.get("evidence") and "seen" in each]
    return next((each for each in failed if "gateway" in each), failed[0])


def properties(results: Path, case: str) -> str:
    """Return the properties of a case in a JUnit file, one a line."""
    name = case.rpartition("::")[2]
    for found in ElementTree.parse(results).iter("testcase"):  # noqa: S314  # our own file, just written
        if found.get("name") == name:
            pairs = [(one.get("name"), one.get("value") or "") for one in found.iter("property")]
            return "\n".join(f"{key} = {value[:90]}{'...' if len(value) > 90 else ''}" for key, value in pairs)
    return ""


def steps(results: Path, case: str) -> str:
    """Return the steps of a case in Allure's results, and what is attached to each."""
    name = case.rpartition("::")[2]
    for path in sorted(results.glob("*-result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["name"] == name:
            return "\n".join(
                f"{step['name']}\n" + "\n".join(f"    {one['name']} ({one['type']})" for one in step["attachments"])
                for step in result.get("steps", [])
            )
    return ""
