"""Which resources let a request through that should have been blocked at the sidecar."""

from __future__ import annotations

from pytest_istio_egress.verdict.analysis.configuration import (
    ANY_HOST_MODES,
    REGISTRY_ONLY,
    ClientRequest,
    Configuration,
)
from pytest_istio_egress.verdict.analysis.documents import Document, full_name, namespace_of, spec_of
from pytest_istio_egress.verdict.analysis.hosts import definitions
from pytest_istio_egress.verdict.analysis.visibility import (
    egress_hosts,
    export_targets,
    imports_host,
    sidecar_of,
    sidecars_of,
    why_not_applied,
)
from pytest_istio_egress.verdict.proxy_path import Origin
from pytest_istio_egress.verdict.proxy_path.origin import ServiceOfCluster


def outbound_policy(configuration: Configuration, request: ClientRequest) -> tuple[str, str]:
    """Return the mode of the client's outbound traffic policy, and the resource that sets it, as a subject."""
    sidecar = sidecar_of(configuration, request)
    policy = spec_of(sidecar).get("outboundTrafficPolicy") if sidecar else None
    if sidecar is not None and policy is not None:
        return str(policy.get("mode") or REGISTRY_ONLY), full_name(sidecar)
    return configuration.mesh.outbound_mode, "the mesh's outboundTrafficPolicy"


def why_allow_any(configuration: Configuration, request: ClientRequest) -> str:
    """Return which resource allows any host for the client, as a main clause; empty where the policy is another."""
    if "Sidecar" in configuration.unread:
        return ""
    mode, subject = outbound_policy(configuration, request)
    if mode not in ANY_HOST_MODES:
        return ""
    several = sidecars_of(configuration, request)
    if len(several) > 1:
        names = " and ".join(sorted(str(each["metadata"]["name"]) for each in several))
        return f"{subject} is {mode} (the oldest of {names}, which select the same workload)"
    inherited = sidecar_of(configuration, request)
    if inherited is not None and not subject.startswith("Sidecar"):
        return f"{subject} is {mode}, and {full_name(inherited)} sets no other"
    return f"{subject} is {mode}"


def definition_of(
    configuration: Configuration, request: ClientRequest, service: ServiceOfCluster | None
) -> Document | None:
    """Return the resource that a cluster was made for: what defines the host in the namespace that Istio names."""
    found = definitions(configuration, request.host)
    own = [each for each in found if service is None or namespace_of(each) == service.namespace]
    applied = [each for each in own if not why_not_applied(each, [request.host], configuration, request)]
    return next(iter(applied or own), None)


def why_host_is_known(
    configuration: Configuration, request: ClientRequest, service: ServiceOfCluster | None, rule: Origin | None
) -> str:
    """Return which resources make the client's proxy know the host, as a main clause; empty where none was found."""
    document = definition_of(configuration, request, service)
    if document is None:
        return ""
    targets = ", ".join(export_targets(document, configuration.mesh))
    text = f"{full_name(document)} defines the host and is exported to [{targets}]"
    sidecar = sidecar_of(configuration, request)
    if sidecar is not None and imports_host(
        sidecar, request.namespace, namespace_of(document), request.host, request.port
    ):
        listed = ", ".join(egress_hosts(sidecar, request.port))
        text += f", and {full_name(sidecar)} includes it (egress hosts {listed})"
    return f"{text}; the route comes from {rule}" if rule else text
