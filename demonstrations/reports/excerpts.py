"""Excerpts of the reports for the page, without paths of this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from pytest_istio_egress.model.result_names import FAILED

SCHEMA = Path(__file__).parents[2] / "pytest_istio_egress" / "report" / "conformance_report.schema.json"


def neutral(text: str) -> str:
    """Replace the home directory by ~."""
    return text.replace(str(Path.home()), "~")


def checked(report: Path) -> str:
    """Check a report against the schema and return the checker's output; exit where it is invalid."""
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(SCHEMA), str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{report} does not match its schema:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def dumped(value: Any) -> str:
    """Return YAML, wrapped at the width of a page."""
    return neutral(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110))


def failing(document: dict[str, Any]) -> dict[str, Any]:
    """Return a failed parameter of a report, with a gateway on the path of its request if there is one."""
    parameters: list[dict[str, Any]] = [each for test in document["tests"] for each in test["parameters"]]
    failed = [each for each in parameters if each["result"] == FAILED and each.get("evidence") and "seen" in each]
    return next((each for each in failed if "hops" in each["id"]), failed[0])


def properties(results: Path, parameter: str) -> str:
    """Return the properties of a parameter in a JUnit file, one per line."""
    name = parameter.rpartition("::")[2]
    for element in ElementTree.parse(results).iter("testcase"):  # noqa: S314  # our own file, just written
        if element.get("name") == name:
            pairs = [(one.get("name"), one.get("value") or "") for one in element.iter("property")]
            return "\n".join(f"{key} = {value[:90]}{'...' if len(value) > 90 else ''}" for key, value in pairs)
    return ""


def steps(results: Path, parameter: str) -> str:
    """Return the steps of a parameter in Allure's results, and the attachments of each."""
    name = parameter.rpartition("::")[2]
    for path in sorted(results.glob("*-result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["name"] == name:
            return "\n".join(
                f"{step['name']}\n" + "\n".join(f"    {one['name']} ({one['type']})" for one in step["attachments"])
                for step in result.get("steps", [])
            )
    return ""
