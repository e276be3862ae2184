"""Detects what the Gateway API can do in a mesh: by its CRDs, by Istio's release and by istiod's settings."""

from __future__ import annotations

from typing import Any

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.model.istio_versions import older

_VERSION = "gateway.networking.k8s.io/v1"
_CLASS = "istio"
_TLS_ROUTE_SINCE = "1.30"
"""The release of Istio that reads TLSRoute v1 and accepts listeners of protocol TLS; older ones know only an alpha."""

_BACKEND_TLS_POLICY_SINCE = "1.28"
"""The release of Istio that reads BackendTLSPolicy v1, and accepts a ServiceEntry as its target."""


def gateway_api(mesh: Mesh) -> str | None:
    """Return why an HTTPRoute with a timeout, whose parent is a ServiceEntry, has no effect; None where it has."""
    if not mesh.api.serves(_VERSION, "HTTPRoute"):
        return f"the Gateway API CRDs are not installed (no HTTPRoute of {_VERSION})"
    return _ignored(mesh) or _lacks_field(mesh, "httproutes", "HTTPRoute", ("spec", "rules", "timeouts"))


def gateway_deployment(mesh: Mesh) -> str | None:
    """Return why istiod deploys no gateway for a Gateway of the Gateway API; None where it does."""
    if not mesh.api.serves(_VERSION, "Gateway"):
        return f"the Gateway API CRDs are not installed (no Gateway of {_VERSION})"
    if not mesh.facts.istiod_setting("PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER"):
        return "istiod deploys no gateways for the Gateway API (PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER=false)"
    if (name := mesh.facts.istiod_setting("PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME")) != _CLASS:
        return f"istiod's GatewayClass is {name}, and the tests' Gateways have the class {_CLASS}"
    return _ignored(mesh) or _lacks_field(mesh, "gateways", "Gateway", ("spec", "infrastructure"))


def tls_route(mesh: Mesh) -> str | None:
    """Return why a TLSRoute has no effect; None where it has."""
    if older(mesh.facts.istio, _TLS_ROUTE_SINCE):
        return f"Istio {mesh.facts.istio} does not support TLSRoute {_VERSION} (needs {_TLS_ROUTE_SINCE})"
    if not mesh.api.serves(_VERSION, "TLSRoute"):
        found = mesh.facts.value("gateway-api", "unknown version")
        return f"the Gateway API CRDs ({found}) have no TLSRoute of {_VERSION} (needs Gateway API 1.5)"
    return _ignored(mesh)


def backend_tls_policy(mesh: Mesh) -> str | None:
    """Return why a BackendTLSPolicy whose target is a ServiceEntry has no effect; None where it has."""
    if older(mesh.facts.istio, _BACKEND_TLS_POLICY_SINCE):
        return (
            f"Istio {mesh.facts.istio} does not support BackendTLSPolicy {_VERSION} for ServiceEntries "
            f"(needs {_BACKEND_TLS_POLICY_SINCE})"
        )
    if not mesh.api.serves(_VERSION, "BackendTLSPolicy"):
        found = mesh.facts.value("gateway-api", "unknown version")
        return f"the Gateway API CRDs ({found}) have no BackendTLSPolicy of {_VERSION} (needs Gateway API 1.4)"
    return _ignored(mesh)


def _ignored(mesh: Mesh) -> str | None:
    if mesh.facts.istiod_setting("PILOT_ENABLE_GATEWAY_API"):
        return None
    return "istiod ignores the Gateway API (PILOT_ENABLE_GATEWAY_API=false)"


def _lacks_field(mesh: Mesh, plural: str, kind: str, path: tuple[str, ...]) -> str | None:
    """Return a reason where the installed CRD has no such field: the API server rejects manifests that use it."""
    name = f"{plural}.gateway.networking.k8s.io"
    try:
        read = mesh.api.resource("apiextensions.k8s.io/v1", "CustomResourceDefinition").get(name=name).to_dict()
    except ApiException as error:
        if error.status == 403:  # the API server decides when the manifest is applied
            return None
        raise
    versions = (version for version in read["spec"]["versions"] if version["name"] == "v1")
    if any(_has(version.get("schema", {}).get("openAPIV3Schema", {}), path) for version in versions):
        return None
    found = mesh.facts.value("gateway-api", "unknown version")
    return f"the Gateway API CRDs ({found}) have no {kind}.{'.'.join(path)} (needs Gateway API 1.2)"


def _has(schema: dict[str, Any], path: tuple[str, ...]) -> bool:
    """Whether a schema has a field; the elements of a list count as the list."""
    if not path:
        return True
    fields = schema.get("items", schema).get("properties", {})
    return path[0] in fields and _has(fields[path[0]], path[1:])
