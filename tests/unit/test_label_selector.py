"""A label selector matches as the Kubernetes API defines it."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_istio_egress.model.label_selector import matches

LABELS = {"env": "prod", "team": "payments"}


def where(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, True),
        ({}, True),
        ({"matchLabels": {"env": "prod"}}, True),
        ({"matchLabels": {"env": "prod", "team": "shop"}}, False),
        ({"matchLabels": {"zone": "a"}}, False),
        (where("env", "In", "prod", "test"), True),
        (where("zone", "In", "a"), False),
        (where("env", "NotIn", "prod"), False),
        (where("zone", "NotIn", "a"), True),
        (where("env", "Exists"), True),
        (where("zone", "Exists"), False),
        (where("env", "DoesNotExist"), False),
        (where("zone", "DoesNotExist"), True),
        (where("env", "Unknown"), True),
        ({"matchLabels": {"env": "prod"}, **where("team", "In", "shop")}, False),
    ],
)
def test_selector_matches_labels(selector: dict[str, Any] | None, expected: bool) -> None:  # noqa: FBT001  # what is expected
    assert matches(selector, LABELS) is expected
