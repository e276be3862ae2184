"""The objects in which two renderings of Istio's manifest differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Changes:
    """The objects of a manifest that are new, changed and removed in comparison with an earlier one.

    Changed Deployments are separate, by name: they are rolled one after the other.
    """

    new: list[dict[str, Any]]
    other: list[dict[str, Any]]
    deployments: dict[str, dict[str, Any]]
    gone: list[dict[str, Any]]


def changes_between(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Changes:
    """Compare two manifests."""
    old, new = ({_key(found): found for found in objects} for objects in (before, after))
    other = [found for key, found in new.items() if key in old and found != old[key]]
    return Changes(
        new=[found for key, found in new.items() if key not in old],
        other=[found for found in other if found["kind"] != "Deployment"],
        deployments={found["metadata"]["name"]: found for found in other if found["kind"] == "Deployment"},
        gone=[found for key, found in old.items() if key not in new],
    )


def _key(found: dict[str, Any]) -> tuple[str, str, str]:
    return found["kind"], found["metadata"].get("namespace", ""), found["metadata"]["name"]
