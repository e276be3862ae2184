"""Which resources apply to a workload: exportTo, a Sidecar's egress hosts, wildcards; on plain dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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


def covers(pattern: str, host: str) -> bool:
    """Whether a host pattern, which may begin with a wildcard, is or covers a host."""
    if pattern == "*":
        return True
    return host.endswith(pattern[1:]) if pattern.startswith("*") else pattern == host


def exported(document: Document, namespace: str) -> bool:
    """Whether a resource is visible in a namespace; without exportTo it is visible everywhere."""
    targets = spec_of(document).get("exportTo") or ["*"]
    own = namespace_of(document) == namespace
    return any(target == "*" or target == namespace or (target == "." and own) for target in targets)


def sidecars_of_workload(sidecars: Iterable[Document], namespace: str, labels: Mapping[str, str]) -> list[Document]:
    """Return the Sidecars that select a workload: by its labels, or else those of the whole namespace."""
    own = [sidecar for sidecar in sidecars if namespace_of(sidecar) == namespace]
    by_labels = [sidecar for sidecar in own if (selector := _selector(sidecar)) and selector.items() <= labels.items()]
    return by_labels or [sidecar for sidecar in own if not _selector(sidecar)]


def _selector(sidecar: Document) -> Mapping[str, str]:
    return (spec_of(sidecar).get("workloadSelector") or {}).get("labels") or {}


def imports_host(sidecar: Document, namespace: str, host: str) -> bool:
    """Whether a Sidecar's egress hosts (`namespace/host`) include a host of a namespace."""
    listeners: Sequence[Mapping[str, Any]] = spec_of(sidecar).get("egress") or [{"hosts": ["*/*"]}]
    for entry in (str(entry) for listener in listeners for entry in listener.get("hosts") or []):
        source, _, pattern = entry.partition("/")
        own = source == "." and namespace_of(sidecar) == namespace
        if (source in ("*", namespace) or own) and covers(pattern, host):
            return True
    return False


def egress_hosts(sidecar: Document) -> str:
    """Return a Sidecar's egress hosts as they are written, `none` where it has none."""
    hosts = [host for listener in spec_of(sidecar).get("egress") or [] for host in listener.get("hosts") or []]
    return ", ".join(map(str, hosts)) or "none"
