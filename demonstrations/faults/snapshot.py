"""What is in a cluster, to be held against what is in it later: a run has to leave it as it was."""

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
"""Kinds that come and go by themselves."""
_SETTINGS = ("ConfigMap", "istio-system", "istio")
"""What a run changes and puts back: its content counts, too."""


def snapshot(api: Api) -> frozenset[str]:
    """Name all objects of the cluster but those that belong to others and come and go with them, as pods do.

    It needs the right to list everything.
    """
    dynamic = DynamicClient(api.client)
    kinds = [kind for kind in dynamic.resources.search() if _counts(kind)]
    return frozenset(name for kind in kinds for name in _names(kind))


def _counts(kind: Any) -> bool:
    # A search finds the kinds' lists (PodList), too, which are no resources.
    return (
        not isinstance(kind, ResourceList)
        and "list" in (kind.verbs or ())
        and kind.kind not in _PASSING
        and kind.preferred
        and "/" not in kind.name
    )


def _names(kind: Any) -> Iterator[str]:
    try:
        found = kind.get(serialize=False)
    except ApiException as error:
        if error.status in (404, 405):
            return  # an aggregated API whose server lists nothing
        raise
    for item in json.loads(found.data)["items"]:
        metadata = item["metadata"]
        if metadata.get("ownerReferences"):
            continue
        identity = (kind.kind, metadata.get("namespace", ""), metadata["name"])
        yield "/".join(identity) + (f" {_content(item)}" if identity == _SETTINGS else "")


def _content(item: dict[str, Any]) -> str:
    told = json.dumps([item.get("data"), item["metadata"].get("annotations")], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:12]
