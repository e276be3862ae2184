"""Lists all objects of a kind in pages, as kubectl does: thousands of objects in one answer can take too long."""

from __future__ import annotations

from typing import Any

from kubernetes.client.exceptions import ApiException

PAGE = 500
"""Objects of one page."""


def all_items(kind: Any, namespace: str | None = None) -> list[dict[str, Any]]:
    """Return all objects of a kind of the dynamic client, in a namespace or in all; raises ApiException."""
    try:
        return _in_pages(kind, namespace)
    except ApiException as error:
        if error.status != 410:
            raise
    # The list is older than what the API server remembers: it cannot be continued.
    return kind.get(namespace=namespace).to_dict().get("items") or []


def _in_pages(kind: Any, namespace: str | None) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    begin: str | None = None
    while True:
        page = kind.get(namespace=namespace, limit=PAGE, _continue=begin).to_dict()
        items += page.get("items") or []
        begin = (page.get("metadata") or {}).get("continue")
        if not begin:
            return items
