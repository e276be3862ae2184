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
    "outside": "what the outside server saw",
    "cause": "cause",
}
SHOWN = ("expected", "seen", "seconds", "attempts")


def show(record: Mapping[str, Any]) -> None:
    """Add a recorded verdict (report/record.py) to the test that is running."""
    with allure.step(f"asked by {record['client']}: {record['outcome']}"):
        for name, title in TEXTS.items():
            if record.get(name):
                allure.attach(str(record[name]), title, allure.attachment_type.TEXT)
        if record.get("differences"):
            allure.attach("\n".join(record["differences"]), "differences", allure.attachment_type.TEXT)
        figures = {name: record[name] for name in SHOWN if name in record}
        allure.attach(json.dumps(figures, indent=2), "figures", allure.attachment_type.JSON)
