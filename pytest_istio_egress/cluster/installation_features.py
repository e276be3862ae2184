"""Detects what settings of an installation change: of istiod, and of the egress gateway's Service."""

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
