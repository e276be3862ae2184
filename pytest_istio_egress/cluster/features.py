"""How the features that a case may require (case.FEATURES) are detected; a missing one is a true reason to skip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import ClusterError, reason
from pytest_istio_egress.cluster.apply import load
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.network_policies import NetworkPolicyCheck
from pytest_istio_egress.cluster.permissions import SECRETS, missing_permissions
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.istio_versions import older
from pytest_istio_egress.model.mesh_facts import BY_GATEWAY_API, ISTIOS_OWN_BUILD, MeshFacts

Detect = Callable[[Mesh], str | None]
"""Returns None where the mesh has the feature, else the reason why a case that needs it can't be asked."""


class UnknownFeatureError(Exception):
    """A case requires a feature that nobody can detect."""


def missing(case: Case, mesh: Mesh, fixtures: Path) -> dict[str, str]:
    """Return why the case can't be asked of this mesh: a reason for each missing feature, none if it can.

    Features that only a probe can tell (PROBED) are left to `missing_by_probe`: what is told here takes no pods.
    """
    for feature in case.requires:
        if feature not in DETECT and feature not in PROBED:
            raise UnknownFeatureError(
                f"no such feature: {feature!r}; known are {', '.join(sorted([*DETECT, *PROBED]))}"
            )
    needed = [feature for feature in (*case.requires, *implied(case, mesh.facts, fixtures)) if feature not in PROBED]
    found = {feature: reason for feature in needed if (reason := DETECT[feature](mesh))}
    if case.min_istio and older(mesh.istio, case.min_istio):
        found["istio"] = f"this is documented from Istio {case.min_istio} on, and the mesh has {mesh.istio}"
    return found


def missing_by_probe(case: Case, network_policy: NetworkPolicyCheck) -> dict[str, str]:
    """Return, as `missing` does, which of the features are missing that pods of the run's own have to tell."""
    return {
        feature: reason for feature in case.requires if feature in PROBED and (reason := network_policy.network_policy)
    }


def implied(case: Case, facts: MeshFacts, fixtures: Path) -> list[str]:
    """Return the features that a case's manifests need in this mesh, whatever it declares."""
    own = ["gateway.yaml"] if facts.own_gateway and "egress-gateway" in case.requires else []
    kinds = {
        document["kind"] for document in load([*case.manifests, *(fixtures / name for name in (*case.fixtures, *own))])
    }
    # Kubernetes lets only those grant rights who have them.
    grants = ["secrets-for-proxies"] if "Role" in kinds else []
    # A mesh-wide Sidecar rules where there is no other. What applies nothing asks about pods, or about a user's own.
    ruled = ["own-sidecar-scope"] if case.manifests and "Sidecar" not in kinds else []
    return grants + ruled


def features(mesh: Mesh) -> dict[str, str | None]:
    """Return for every feature why the mesh lacks it, None where it's there; what can't be found out says so.

    Features that only a probe can tell (PROBED) are left out: they are found out when the first case requires them.
    """
    found: dict[str, str | None] = {}
    for name, detect in DETECT.items():
        try:
            found[name] = detect(mesh)
        except (ClusterError, ApiException) as error:
            why = reason(error) if isinstance(error, ApiException) else str(error)
            found[name] = f"it could not be found out: {' '.join(why.split())}"
    return found


def _registry_only_mesh(mesh: Mesh) -> str | None:
    if mesh.outbound_mode == "REGISTRY_ONLY":
        return None
    return f"the mesh's own outboundTrafficPolicy is {mesh.outbound_mode}, not REGISTRY_ONLY"


def _egress_gateway(mesh: Mesh) -> str | None:
    gateway = mesh.gateway
    if gateway is None:
        why = mesh.facts.facts["egress-gateways"].why
        return (
            "the mesh has no egress gateway to ask"
            + (f": {why}" if why else "")
            + " (--istio-egress-gateway own has the run bring one, NAMESPACE/SERVICE names one)"
        )
    if gateway.made_by == BY_GATEWAY_API:
        return (
            f"the egress gateway {gateway.service}.{gateway.namespace} is one of the Gateway API: listeners and routes "
            "come to it from there, and not from Istio's Gateway and VirtualService (--istio-egress-gateway own)"
        )
    missing_permissions = [str(port) for port in (80, 443) if port not in gateway.ports]
    if missing_permissions:
        return f"the egress gateway's Service {gateway.service}.{gateway.namespace} lacks port {', '.join(missing_permissions)}"
    if not gateway.logs:
        return (
            f"the egress gateway {gateway.service}.{gateway.namespace} writes no access log in a format of Istio's, so "
            "its side can't be seen (a Telemetry with accessLogging in its namespace would do; or "
            "--istio-egress-gateway own)"
        )
    return None


def _mesh_policy(mesh: Mesh) -> str | None:
    sidecar = mesh.facts.sidecar
    if sidecar is not None and sidecar.mode is not None:
        return f"a mesh-wide Sidecar overrules the mesh's own outboundTrafficPolicy ({sidecar})"
    return None


def _gateway_api(mesh: Mesh) -> str | None:
    if mesh.api.serves("gateway.networking.k8s.io/v1", "HTTPRoute"):
        return None
    return "the cluster does not serve the Gateway API (no HTTPRoute of gateway.networking.k8s.io/v1)"


def _dynamic_dns(mesh: Mesh) -> str | None:
    definition = mesh.api.resource("apiextensions.k8s.io/v1", "CustomResourceDefinition").get(
        name="serviceentries.networking.istio.io"
    )
    if "DYNAMIC_DNS" in str(definition.to_dict()):
        return None
    return "the mesh's ServiceEntry knows no resolution DYNAMIC_DNS (it came with Istio 1.30)"


def _dynamic_dns_mesh(mesh: Mesh) -> str | None:
    if older(mesh.istio, "1.31"):
        return f"Istio {mesh.istio} knows no outboundTrafficPolicy ALLOW_ANY_DYNAMIC_DNS (it came with Istio 1.31)"
    return None


def _validation_webhook(mesh: Mesh) -> str | None:
    try:
        found = mesh.api.resource("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration").get()
    except ApiException as error:
        return f"whether anybody checks Istio's resources can't be read: {reason(error)}"
    for configuration in found.to_dict()["items"]:
        if any(webhook["name"].endswith("validation.istio.io") for webhook in configuration.get("webhooks") or ()):
            return None
    return "nobody checks Istio's resources (no ValidatingWebhookConfiguration for validation.istio.io)"


def _istio_metrics(mesh: Mesh) -> str | None:
    build = mesh.facts.value("proxy-build", ISTIOS_OWN_BUILD)
    if build == ISTIOS_OWN_BUILD:
        return None
    return f"the proxies are {build}, which lacks the filter that makes Istio's own metrics"


def _secrets_for_proxies(mesh: Mesh) -> str | None:
    missing = missing_permissions(mesh.api, (SECRETS,))
    return f"this user may not let the run's own proxies read secrets: missing is {missing[0]}" if missing else None


def _own_sidecar_scope(mesh: Mesh) -> str | None:
    sidecar = mesh.facts.sidecar
    if sidecar is None or not sidecar.limits_hosts:
        return None
    return f"a mesh-wide Sidecar limits what proxies know, and this case brings none of its own ({sidecar})"


DETECT: dict[str, Detect] = {
    "registry-only-mesh": _registry_only_mesh,
    "mesh-policy": _mesh_policy,
    "egress-gateway": _egress_gateway,
    "gateway-api": _gateway_api,
    "dynamic-dns": _dynamic_dns,
    "dynamic-dns-mesh": _dynamic_dns_mesh,
    "validation-webhook": _validation_webhook,
    "istio-metrics": _istio_metrics,
    "secrets-for-proxies": _secrets_for_proxies,
    "own-sidecar-scope": _own_sidecar_scope,
}
PROBED = frozenset({"network-policy"})
"""Features that can be told only by pods of the run's own, so not before the first case."""
