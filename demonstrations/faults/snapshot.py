"""Lists the objects of a cluster, to compare before and after a run, which must leave nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.resource import ResourceList

from pytest_istio_egress.cluster.api import Api

_PASSING = frozenset({"Event", "Lease", "ComponentStatus"})
"""Kinds that change without a run."""
_SETTINGS = ("ConfigMap", "istio-system", "istio")
"""A run changes and restores it, so its content is compared as well."""


def snapshot(api: Api) -> frozenset[str]:
    """Return the names of all objects without an owner; it needs the permission to list everything."""
    dynamic = DynamicClient(api.client)
    kinds = [kind for kind in dynamic.resources.search() if _is_listed(kind)]
    return frozenset(name for kind in kinds for name in _names(kind))


def _is_listed(kind: Any) -> bool:
    # A search also returns the kinds of lists (PodList).
    return (
        not isinstance(kind, ResourceList)
        and "list" in (kind.verbs or ())
        and kind.kind not in _PASSING
        and kind.preferred
        and "/" not in kind.name
    )


def _names(kind: Any) -> Iterator[str]:
    try:
        response = kind.get(serialize=False)
    except ApiException as error:
        if error.status in (404, 405):
            return  # an aggregated API that cannot be listed
        raise
    for item in json.loads(response.data)["items"]:
        metadata = item["metadata"]
        if metadata.get("ownerReferences"):
            continue
        identity = (kind.kind, metadata.get("namespace", ""), metadata["name"])
        yield "/".join(identity) + (f" {_content(item)}" if identity == _SETTINGS else "")


def _content(item: dict[str, Any]) -> str:
    text = json.dumps([item.get("data"), item["metadata"].get("annotations")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
