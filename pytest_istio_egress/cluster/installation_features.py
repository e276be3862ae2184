"""Detects what settings of an installation change: of istiod, of the mesh, and of the egress gateway's Service."""

from __future__ import annotations

from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.model.istio_versions import older


def gateway_http2(mesh: Mesh) -> str | None:
    """Return why sidecars do not use HTTP/2 to the egress gateway; None where they do."""
    gateway = mesh.facts.gateway
    if gateway is None or gateway.http2:
        return None
    return (
        f"port 80 of the egress gateway's Service {gateway.service}.{gateway.namespace} is not one for HTTP/2 (its "
        "name or appProtocol), so sidecars use HTTP/1.1 to it"
    )


def gateways_across_namespaces(mesh: Mesh) -> str | None:
    """Return why a Gateway selects no gateway pods of other namespaces; None where it does."""
    if not mesh.facts.istiod_setting("PILOT_SCOPE_GATEWAY_TO_NAMESPACE"):
        return None
    return (
        "istiod limits a Gateway to the gateway pods of its own namespace (PILOT_SCOPE_GATEWAY_TO_NAMESPACE=true), and "
        "this test's Gateway is in the namespace of its client"
    )


def address_allocation(mesh: Mesh) -> str | None:
    """Return why istiod allocates no addresses to ServiceEntries; None where it does."""
    if older(mesh.facts.istio, "1.25"):
        return f"Istio {mesh.facts.istio} does not allocate addresses to ServiceEntries in istiod (needs 1.25)"
    if not mesh.facts.istiod_setting("PILOT_ENABLE_IP_AUTOALLOCATE"):
        return "istiod allocates no addresses to ServiceEntries (PILOT_ENABLE_IP_AUTOALLOCATE=false)"
    return None


def proxy_ports(mesh: Mesh) -> str | None:
    """Return why traffic is not redirected to Istio's documented ports; None where it is."""
    ports = {name: mesh.facts.changed_mesh_setting(name) for name in ("proxyListenPort", "proxyInboundListenPort")}
    changed = [f"{name}: {port}" for name, port in ports.items() if port]
    return f"sidecars have other ports than those documented (meshConfig.{', '.join(changed)})" if changed else None


def default_retries(mesh: Mesh) -> str | None:
    """Return why a request without a retry rule is retried after an answer with 500; None where it is not."""
    conditions = mesh.facts.changed_mesh_setting("defaultHttpRetryPolicy.retryOn") or ""
    if not {"5xx", "500"} & {*conditions.split(",")}:
        return None
    return f"the mesh retries requests after each 5xx (meshConfig.defaultHttpRetryPolicy, retryOn {conditions})"


def two_default_retries(mesh: Mesh) -> str | None:
    """Return why a request without a retry rule is not sent three times to a host that refuses it; None if it is."""
    fields = ("attempts", "retryOn")
    settings = {field: mesh.facts.changed_mesh_setting(f"defaultHttpRetryPolicy.{field}") for field in fields}
    changed = ", ".join(f"{field} {value}" for field, value in settings.items() if value is not None)
    if not changed:
        return None
    return f"the mesh has another default of retries (meshConfig.defaultHttpRetryPolicy: {changed})"


def exported_entries(mesh: Mesh) -> str | None:
    """Return why a ServiceEntry is not visible wherever its exportTo says; None where it is."""
    if mesh.facts.changed_mesh_setting("serviceEntryVisibility.applyToSidecars") != "true":
        return None
    return (
        "the mesh limits where ServiceEntries are visible, whatever their exportTo says "
        "(meshConfig.serviceEntryVisibility with applyToSidecars)"
    )


def http_1_1_upstream(mesh: Mesh) -> str | None:
    """Return why proxies change HTTP/1.1 to HTTP/2 on its way to a host; None where they do not."""
    if mesh.facts.changed_mesh_setting("h2UpgradePolicy") != "UPGRADE":
        return None
    return (
        "the proxies send HTTP/2 to every HTTP host (meshConfig.h2UpgradePolicy: UPGRADE), and the suite's external "
        "servers speak HTTP/1.1 on these ports"
    )


def protocol_detection(mesh: Mesh) -> str | None:
    """Return why proxies do not wait without end for the first bytes on a port without a protocol; None if they do."""
    timeout = mesh.facts.changed_mesh_setting("protocolDetectionTimeout")
    return f"protocol detection ends after a time (meshConfig.protocolDetectionTimeout: {timeout})" if timeout else None
