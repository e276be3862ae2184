"""Reads plain dictionaries: a resource's name, spec and selector, and host patterns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]
"""A namespaced resource as the API returns it."""


def full_name(document: Document) -> str:
    """Return kind, name and namespace of a resource: `Sidecar default in payments`."""
    metadata = document["metadata"]
    return f"{document['kind']} {metadata['name']} in {metadata['namespace']}"


def namespace_of(document: Document) -> str:
    """Return the namespace of a resource."""
    return str(document["metadata"]["namespace"])


def spec_of(document: Document) -> Mapping[str, Any]:
    """Return the spec of a resource, empty where it has none."""
    return document.get("spec") or {}


def refusal(condition: Mapping[str, Any]) -> str:
    """Return a condition of a status that is not met, as `Reason: message`."""
    return f"{condition.get('reason')}: {str(condition.get('message') or '').rstrip('.')}"


def covers(pattern: str, host: str) -> bool:
    """Whether a host pattern, which may begin with a wildcard, is or covers a host, in capital letters or not."""
    pattern, host = pattern.lower(), host.lower()
    if pattern == "*":
        return True
    return host.endswith(pattern[1:]) if pattern.startswith("*") else pattern == host


def selector_of(document: Document) -> Mapping[str, str]:
    """Return the labels that a resource selects workloads by, in any of Istio's spellings; empty for all workloads."""
    spec = spec_of(document)
    selector = spec.get("workloadSelector") or spec.get("selector") or {}
    labels: Mapping[str, str] = selector.get("matchLabels") or selector.get("labels") or {}
    return labels


def selects(document: Document, labels: Mapping[str, str]) -> bool:
    """Whether a resource's selector matches the labels of a workload; one without a selector matches all."""
    return selector_of(document).items() <= labels.items()
