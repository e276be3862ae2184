"""One verdict as a step of Allure's results, with its evidence attached; imported only if `--alluredir` is given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import allure

from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.report.results import HOP_LOGS

TITLES = {
    "probe": "curl command line",
    "sidecar": "access log of the sidecar",
    "ztunnel": "access log of ztunnel",
    "waypoint": "access log of the waypoint",
    "gateway": "access log of the egress gateway",
    "forward_proxy": "access log of the forward proxy",
    "server_saw": "external server saw",
    "differences": "differences",
    "cause": "cause",
    "unsteady": "answers that were not as expected",
}
TYPES = {"json": allure.attachment_type.JSON, "yaml": allure.attachment_type.YAML}
FIGURES = ("expected", "seen", "seconds", "attempts")


def show(record: Mapping[str, Any], evidence: Mapping[str, str] | None = None) -> None:
    """Add a record of a verdict (verdict/record.py) to the running test, with the evidence files by name."""
    with allure.step(f"probe from {record['client']}: {record['result']}"):
        for name, title in TITLES.items():
            if record.get(name):
                allure.attach(_text(name, record[name]), title, allure.attachment_type.TEXT)
        figures = {name: record[name] for name in FIGURES if name in record}
        allure.attach(json.dumps(figures, indent=2), "figures", allure.attachment_type.JSON)
        attach(evidence or {})


def attach(evidence: Mapping[str, str]) -> None:
    """Attach files; the ending of a name is its type."""
    for name, text in sorted(evidence.items()):
        allure.attach(text, name, TYPES.get(name.rpartition(".")[2], allure.attachment_type.TEXT))


def _text(name: str, value: Any) -> str:
    if name in HOP_LOGS:
        return str(value["line"])
    if name == "differences":
        return "\n".join(str(Difference.from_mapping(each)) for each in value)
    return "\n".join(value) if name == "unsteady" else str(value)
