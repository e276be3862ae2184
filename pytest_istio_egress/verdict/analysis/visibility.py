"""Which resources a workload gets to see: exportTo, a Sidecar's hosts, wildcards; on plain dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]


def named(document: Document) -> str:
    """Return a resource the way a reader looks for it."""
    metadata = document["metadata"]
    return f"{document['kind']} {metadata['name']} in {metadata['namespace']}"


def namespace_of(document: Document) -> str:
    """Return where a resource lies."""
    return str(document["metadata"]["namespace"])


def spec_of(document: Document) -> Mapping[str, Any]:
    """Return a resource's specification, empty where it has none."""
    return document.get("spec") or {}


def covers(pattern: str, host: str) -> bool:
    """Whether a host of a resource, wildcards included, is or covers another."""
    if pattern == "*":
        return True
    return host.endswith(pattern[1:]) if pattern.startswith("*") else pattern == host


def exported(document: Document, namespace: str) -> bool:
    """Whether a resource is visible in a namespace; without exportTo it is visible everywhere."""
    targets = spec_of(document).get("exportTo") or ["*"]
    own = namespace_of(document) == namespace
    return any(target == "*" or target == namespace or (target == "." and own) for target in targets)


def ruling(sidecars: Iterable[Document], namespace: str, labels: Mapping[str, str]) -> list[Document]:
    """Return the Sidecars that claim a workload: those that select it, else those of the whole namespace."""
    own = [sidecar for sidecar in sidecars if namespace_of(sidecar) == namespace]
    selected = [sidecar for sidecar in own if (chosen := _selector(sidecar)) and chosen.items() <= labels.items()]
    return selected or [sidecar for sidecar in own if not _selector(sidecar)]


def _selector(sidecar: Document) -> Mapping[str, str]:
    return (spec_of(sidecar).get("workloadSelector") or {}).get("labels") or {}


def let_in(sidecar: Document, namespace: str, host: str) -> bool:
    """Whether a Sidecar's egress hosts (`namespace/host`) let a host of a namespace in."""
    listeners: Sequence[Mapping[str, Any]] = spec_of(sidecar).get("egress") or [{"hosts": ["*/*"]}]
    for pattern in (str(pattern) for listener in listeners for pattern in listener.get("hosts") or []):
        where, _, what = pattern.partition("/")
        own = where == "." and namespace_of(sidecar) == namespace
        if (where == "*" or where == namespace or own) and covers(what, host):
            return True
    return False


def egress_hosts(sidecar: Document) -> str:
    """Return what a Sidecar lets in, as it says it."""
    hosts = [host for listener in spec_of(sidecar).get("egress") or [] for host in listener.get("hosts") or []]
    return ", ".join(map(str, hosts)) or "nothing"
