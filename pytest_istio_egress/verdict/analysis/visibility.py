"""Which resources apply to a workload: exportTo, Sidecars, discoverySelectors and revisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_istio_egress.model.label_selector import matches
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, MeshSettings, Workload
from pytest_istio_egress.verdict.analysis.documents import (
    Document,
    covers,
    full_name,
    namespace_of,
    selector_of,
    spec_of,
)

_SERVICE_EXPORT = "networking.istio.io/exportTo"
_REVISION = "istio.io/rev"


def export_targets(document: Document, mesh: MeshSettings) -> list[str]:
    """Return exportTo of a resource: its own, a Service's annotation, or the default of the mesh."""
    if document["kind"] == "Service":
        annotation = (document["metadata"].get("annotations") or {}).get(_SERVICE_EXPORT)
        own = [target.strip() for target in annotation.split(",")] if annotation else []
    else:
        own = list(map(str, spec_of(document).get("exportTo") or []))
    return own or mesh.default_export_to(str(document["kind"]))


def exported(document: Document, namespace: str, mesh: MeshSettings) -> bool:
    """Whether a resource is visible in a namespace."""
    own = namespace_of(document) == namespace
    targets = export_targets(document, mesh)
    return any(target == "*" or target == namespace or (target == "." and own) for target in targets)


def sidecars_of(configuration: Configuration, workload: Workload) -> list[Document]:
    """Return the Sidecars that may apply to a workload: by its labels, else of its namespace, else of the root."""
    own = [each for each in configuration.sidecars if namespace_of(each) == workload.namespace]
    by_labels = [
        each for each in own if (selector := selector_of(each)) and selector.items() <= workload.labels.items()
    ]
    of_namespace = [each for each in own if not selector_of(each)]
    of_root = [
        each
        for each in configuration.sidecars
        if namespace_of(each) == configuration.mesh.root and not selector_of(each)
    ]
    return by_labels or of_namespace or of_root


def sidecar_of(configuration: Configuration, workload: Workload) -> Document | None:
    """Return the Sidecar that applies to a workload, the oldest one of several; None where there is none."""
    return min(
        sidecars_of(configuration, workload),
        key=lambda each: str(each["metadata"].get("creationTimestamp") or ""),
        default=None,
    )


def imports_host(sidecar: Document, own: str, namespace: str, host: str, port: int | None = None) -> bool:
    """Whether a Sidecar's egress hosts (`namespace/host`) include a host of a namespace; `own` is the workload's.

    Listeners for another port than `port` do not count.
    """
    included = False
    for pattern in egress_hosts(sidecar, port):
        source, _, hosts = pattern.removeprefix("~").partition("/")
        if (source in ("*", namespace) or (source == "." and namespace == own)) and covers(hosts, host):
            if pattern.startswith("~"):  # an exclusion
                return False
            included = True
    return included


def egress_hosts(sidecar: Document, port: int | None = None) -> list[str]:
    """Return a Sidecar's egress hosts as they are written; one without egress listeners includes all."""
    listeners: Sequence[Mapping[str, Any]] = spec_of(sidecar).get("egress") or [{"hosts": ["*/*"]}]
    return [
        str(host)
        for listener in listeners
        if port is None or (listener.get("port") or {}).get("number") in (None, port)
        for host in listener.get("hosts") or []
    ]


def discovered(configuration: Configuration, namespace: str) -> bool:
    """Whether istiod reads a namespace: without discoverySelectors it reads all."""
    selectors = configuration.mesh.raw.get("discoverySelectors") or []
    if not selectors or namespace not in configuration.namespaces:
        return True
    labels = configuration.namespaces[namespace]
    return any(matches(selector, labels) for selector in selectors)


def of_other_revision(document: Document, mesh: MeshSettings) -> str:
    """Return the revision that a resource is labelled for, where that is not the control plane's; else empty."""
    label = str((document["metadata"].get("labels") or {}).get(_REVISION) or "")
    own = mesh.revision or "default"
    return label if label and label != own else ""


def why_not_applied(
    document: Document, hosts: Sequence[str], configuration: Configuration, request: ClientRequest
) -> str:
    """Return why a resource for some hosts is not in the client's proxy, as a main clause; empty where it should be."""
    return next(_reasons(document, hosts, configuration, request), "")


def _reasons(
    document: Document, hosts: Sequence[str], configuration: Configuration, request: ClientRequest
) -> Iterator[str]:
    name, namespace, mesh = full_name(document), namespace_of(document), configuration.mesh
    if not discovered(configuration, namespace):
        yield f"{name} is in a namespace that the mesh's discoverySelectors do not select"
    if revision := of_other_revision(document, mesh):
        yield f"{name} is labelled for revision {revision}, and the control plane is {mesh.revision or 'default'}"
    if not exported(document, request.namespace, mesh):
        targets = ", ".join(export_targets(document, mesh))
        stated = "its exportTo is" if _states_export(document) else "exportTo by default of the mesh is"
        yield f"{name} is not exported to {request.namespace}: {stated} [{targets}]"
    sidecar = sidecar_of(configuration, request)
    if sidecar is not None and not any(
        imports_host(sidecar, request.namespace, namespace, host.lstrip("."), request.port) for host in hosts
    ):
        yield f"{name} is outside of the egress hosts of {full_name(sidecar)} {_listed(sidecar, request.port)}"


def _listed(sidecar: Document, port: int) -> str:
    """Return the egress hosts for a port in brackets, and the port where other ports have others."""
    hosts = egress_hosts(sidecar, port)
    of_port = f" for port {port}" if hosts != egress_hosts(sidecar) else ""
    return f"({', '.join(hosts) or 'none'}{of_port})"


def _states_export(document: Document) -> bool:
    annotations = document["metadata"].get("annotations") or {}
    return bool(spec_of(document).get("exportTo") or annotations.get(_SERVICE_EXPORT))
