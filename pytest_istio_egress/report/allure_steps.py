"""One verdict as a step of Allure's results, with the evidence attached; loaded only where those are asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import allure

TEXTS = {
    "probe": "curl's command line",
    "envoy": "the sidecar's access log",
    "gateway": "the gateway's access log",
    "proxy": "the forward proxy's log",
    "outside": "what the outside server saw",
    "cause": "cause",
}
KINDS = {"json": allure.attachment_type.JSON, "yaml": allure.attachment_type.YAML}
SHOWN = ("expected", "seen", "seconds", "attempts")


def show(record: Mapping[str, Any], evidence: Mapping[str, str] | None = None) -> None:
    """Add a recorded verdict (report/record.py) to the test that is running, with the evidence that was kept of it."""
    with allure.step(f"asked by {record['client']}: {record['outcome']}"):
        for name, title in TEXTS.items():
            if record.get(name):
                allure.attach(str(record[name]), title, allure.attachment_type.TEXT)
        if record.get("differences"):
            allure.attach("\n".join(record["differences"]), "differences", allure.attachment_type.TEXT)
        figures = {name: record[name] for name in SHOWN if name in record}
        allure.attach(json.dumps(figures, indent=2), "figures", allure.attachment_type.JSON)
        attach(evidence or {})


def attach(evidence: Mapping[str, str]) -> None:
    """Attach files, whose names say of what kind they are."""
    for name, text in sorted(evidence.items()):
        allure.attach(text, name, KINDS.get(name.rpartition(".")[2], allure.attachment_type.TEXT))
