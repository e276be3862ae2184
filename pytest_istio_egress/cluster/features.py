"""Detects the features that tests may require (case.FEATURES); a missing one is a reason to skip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.admission import object_name
from pytest_istio_egress.cluster.ambient_features import ambient
from pytest_istio_egress.cluster.api import ClusterError, reason
from pytest_istio_egress.cluster.apply import load
from pytest_istio_egress.cluster.facts.gateways import untestable
from pytest_istio_egress.cluster.gateway_api_features import (
    backend_tls_policy,
    gateway_api,
    gateway_deployment,
    tls_route,
)
from pytest_istio_egress.cluster.gateway_log import GatewayLogCheck
from pytest_istio_egress.cluster.installation_features import (
    address_allocation,
    default_retries,
    exported_entries,
    gateway_http2,
    gateways_across_namespaces,
    http_1_1_upstream,
    protocol_detection,
    proxy_ports,
    two_default_retries,
)
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.network_policies import NetworkPolicyCheck
from pytest_istio_egress.cluster.permissions import SECRETS, missing_permissions
from pytest_istio_egress.cluster.proxy_features import PROXY_DETECTORS
from pytest_istio_egress.cluster.refusals import with_hint
from pytest_istio_egress.cluster.validation_webhooks import NotValidatedError, validated_labels
from pytest_istio_egress.cluster.waypoint_markers import WaypointMarkers
from pytest_istio_egress.model.case import ALL, AMBIENT, CASE_NAMESPACE, OWN_GATEWAY_FIXTURE, Case, InvalidTestError
from pytest_istio_egress.model.istio_versions import older
from pytest_istio_egress.model.mesh_facts import DEFAULT_REVISION, MeshFacts
from pytest_istio_egress.verdict.analysis.documents import selector_of
from pytest_istio_egress.verdict.verdict import Expectation

Detector = Callable[[Mesh], str | None]
"""Returns None where the mesh has the feature, else the reason to skip the tests that need it."""


class UnknownFeatureError(InvalidTestError):
    """A test requires a feature that does not exist."""


def missing(case: Case, mesh: Mesh, fixtures: Path, refused: Mapping[str, str]) -> dict[str, str]:
    """Return what the mesh lacks for a test, as `missing_of` does, by detecting the features that the test needs."""
    return missing_of(case, mesh.facts, fixtures, refused, lambda feature: DETECTORS[feature](mesh))


def missing_of(
    case: Case, facts: MeshFacts, fixtures: Path, refused: Mapping[str, str], lacks: Callable[[str], str | None]
) -> dict[str, str]:
    """Return the features that the mesh lacks for a test, each with the reason; none where the test can run.

    `lacks` returns the reason why the mesh lacks a feature, None where it has it.
    `refused` says why the cluster refuses some objects, by the names of `objects_of`: a test that applies one of them
    cannot run. PROBED features are left to `missing_by_probe`: this needs no pods.
    """
    for feature in case.requires:
        if feature not in DETECTORS and feature not in PROBED:
            raise UnknownFeatureError(
                f"unknown feature {feature!r} (choose from {', '.join(sorted([*DETECTORS, *PROBED]))})"
            )
    needed = [feature for feature in (*case.requires, *implied(case, facts, fixtures)) if feature not in PROBED]
    reasons = {feature: why for feature in needed if (why := lacks(feature))}
    for name in sorted(objects_of(case, facts, fixtures) & refused.keys()):
        reasons[name] = f"this cluster refuses {name}: {with_hint(refused[name])}"
    if case.min_istio and older(facts.istio, case.min_istio):
        reasons["istio"] = f"Istio {facts.istio} does not do this yet (needs {case.min_istio})"
    return reasons


def missing_by_probe(
    case: Case,
    expectations: Sequence[Expectation],
    mesh: Mesh,
    network_policy: NetworkPolicyCheck,
    gateway_log: GatewayLogCheck,
) -> dict[str, str]:
    """Return, as `missing` does, what the mesh lacks for a test and only shows with pods or resources of the run.

    These are the PROBED features, but for those that `missing_in_proxy` finds once the test is set up, the log of the
    mesh's egress gateway, where the test states a line of it, and what the outcomes of its parameters imply.
    """
    policies = "network-policy" in case.requires and network_policy.not_enforced
    reasons = {"network-policy": policies} if policies else {}
    at_gateway = any(outcome.gateway and outcome.gateway.at is None for _, outcome in expectations)
    # A test without such parameters states its outcomes in its body.
    needs_log = at_gateway or ("egress-gateway" in case.requires and not expectations)
    if needs_log and not mesh.facts.own_gateway and (why := _unusable_log(mesh, gateway_log.problem)):
        reasons["egress-gateway"] = why
    if any(map(_arrives_with_http_1_1, expectations)) and (why := http_1_1_upstream(mesh)):
        reasons["http-1.1-upstream"] = why
    if (why := _own_sidecar_scope(mesh)) and _has_client_outside(case, expectations):
        reasons["own-sidecar-scope"] = why
    return reasons


def _has_client_outside(case: Case, expectations: Sequence[Expectation]) -> bool:
    """Whether a client with a sidecar is in none of a test's Sidecars, so that a mesh-wide one applies to it.

    A test without any Sidecar needs the feature by its manifests (`implied`).
    """
    sidecars = [document for document in load(case.manifests) if document["kind"] == "Sidecar"]
    clients = {probe.client for probe, outcome in expectations if outcome.sidecar and not probe.from_own_workload}
    return bool(sidecars) and not all(any(_covers(sidecar, client) for sidecar in sidecars) for client in clients)


def _covers(sidecar: dict[str, Any], client: str) -> bool:
    """Whether a Sidecar applies to a client, `<app label>.<namespace>`."""
    app, _, namespace = client.partition(".")
    own: bool = sidecar["metadata"].get("namespace", CASE_NAMESPACE) == namespace
    return own and selector_of(sidecar).get("app", app) == app


def _arrives_with_http_1_1(expectation: Expectation) -> bool:
    """Whether an external server of the suite must receive HTTP/1.1 from a proxy."""
    probe, outcome = expectation
    arrives = outcome.sidecar and outcome.reached is not None and not probe.from_own_workload
    return arrives and outcome.server_saw.get("protocol") == "HTTP/1.1"


def implied(case: Case, facts: MeshFacts, fixtures: Path) -> list[str]:
    """Return the features that a test's manifests need in this mesh, in addition to those that it requires."""
    kinds = objects_of(case, facts, fixtures)
    resources = {(document["apiVersion"].partition("/")[0], document["kind"]) for document in load(case.manifests)}
    # Kubernetes lets users grant only the permissions that they have.
    grants = ["secrets-for-proxies"] if "Role" in kinds else []
    # A mesh-wide Sidecar applies to namespaces without one, but not to ambient pods. A test without manifests is about
    # pods, or about a user's workloads.
    in_scope = case.manifests and "Sidecar" not in kinds and AMBIENT not in case.requires
    scope = ["own-sidecar-scope"] if in_scope else []
    # Tests of mesh_wide/ change the ConfigMap.
    configuration = ["mesh-config"] if case.profile == ALL else []
    deployed = ["gateway-deployment"] if ("gateway.networking.k8s.io", "Gateway") in resources else []
    # The pods that a test's Gateways select are in the namespace of the egress gateway.
    selected = ["gateways-across-namespaces"] if ("networking.istio.io", "Gateway") in resources else []
    exported = ["exported-entries"] if any(map(_is_exported_entry, load(case.manifests))) else []
    return grants + scope + configuration + deployed + selected + exported


def _is_exported_entry(document: dict[str, Any]) -> bool:
    """Whether a manifest is a ServiceEntry that other namespaces see."""
    return document["kind"] == "ServiceEntry" and set(document.get("spec", {}).get("exportTo", ["*"])) != {"."}


def objects_of(case: Case, facts: MeshFacts, fixtures: Path) -> set[str]:
    """Return the objects of a test's manifests and fixtures: their kinds, and each Deployment by its name, too.

    Without the Namespaces of fixtures: a run that cannot have these ends before its first test.
    """
    own = [OWN_GATEWAY_FIXTURE] if facts.own_gateway and "egress-gateway" in case.requires else []
    of_fixtures = load(fixtures / name for name in (*case.fixtures, *own))
    documents = [*load(case.manifests), *(each for each in of_fixtures if each["kind"] != "Namespace")]
    markers = {WaypointMarkers.kind} if AMBIENT in case.requires else set()
    return markers | {document["kind"] for document in documents} | {object_name(document) for document in documents}


def features(mesh: Mesh) -> dict[str, str | None]:
    """Return for every feature the reason why the mesh lacks it, None where the mesh has it.

    PROBED features are not included: they are detected when the first test requires them.
    """
    reasons: dict[str, str | None] = {}
    for name, detect in DETECTORS.items():
        try:
            reasons[name] = detect(mesh)
        except (ClusterError, ApiException) as error:
            reasons[name] = f"cannot detect this feature: {reason(error)}"
    return reasons


def _registry_only_mesh(mesh: Mesh) -> str | None:
    mode = mesh.facts.outbound_mode
    if why := mesh.facts.why_unknown("outbound-mode"):
        return f"the mesh's outboundTrafficPolicy is unknown: {why}"
    return None if mode == "REGISTRY_ONLY" else f"the mesh's outboundTrafficPolicy is {mode}, not REGISTRY_ONLY"


def _egress_gateway(mesh: Mesh) -> str | None:
    gateway = mesh.facts.gateway
    if gateway is None:
        why = mesh.facts.why_unknown("egress-gateways")
        return (
            "no egress gateway found"
            + (f": {why}" if why else "")
            + " (omit --istio-egress-gateway none to deploy one for the run, or select one with NAMESPACE/SERVICE)"
        )
    if reason := untestable(gateway):
        return f"{reason} (use --istio-egress-gateway own)"
    return _unusable_log(mesh, mesh.gateway_log_problem or "")


def _unusable_log(mesh: Mesh, problem: str) -> str | None:
    gateway = mesh.facts.gateway
    if gateway is None or not problem:
        return None
    return (
        f"the access log of the egress gateway {gateway.service}.{gateway.namespace} is no evidence: {problem} "
        "(use --istio-egress-gateway own to deploy one)"
    )


def _mesh_config(mesh: Mesh) -> str | None:
    return None if mesh.facts.config_map else "the mesh configuration is not in a ConfigMap of this cluster"


def _mesh_policy(mesh: Mesh) -> str | None:
    sidecar = mesh.facts.sidecar
    if sidecar is not None and sidecar.mode is not None:
        return f"a mesh-wide Sidecar overrides the mesh's outboundTrafficPolicy ({sidecar})"
    return None


def _dynamic_dns(mesh: Mesh) -> str | None:
    # The CRD has the value since 1.28, for waypoints; sidecars ignored such entries until 1.30.
    if older(mesh.facts.istio, "1.30"):
        return f"Istio {mesh.facts.istio} does not support resolution DYNAMIC_DNS in sidecars (needs 1.30)"
    definition = mesh.api.resource("apiextensions.k8s.io/v1", "CustomResourceDefinition").get(
        name="serviceentries.networking.istio.io"
    )
    if "DYNAMIC_DNS" in str(definition.to_dict()):
        return None
    return "this Istio's ServiceEntry does not support resolution DYNAMIC_DNS (needs 1.30)"


def _dynamic_dns_mesh(mesh: Mesh) -> str | None:
    if older(mesh.facts.istio, "1.31"):
        return f"Istio {mesh.facts.istio} does not support outboundTrafficPolicy ALLOW_ANY_DYNAMIC_DNS (needs 1.31)"
    return None


def _validation_webhook(mesh: Mesh) -> str | None:
    try:
        validated_labels(mesh.api, mesh.facts.value("revision", DEFAULT_REVISION))
    except NotValidatedError as error:
        return str(error)
    return None


def _secrets_for_proxies(mesh: Mesh) -> str | None:
    denied = missing_permissions(mesh.api, (replace(SECRETS, namespace=mesh.grants_in),))
    return f"this user cannot let proxies read secrets: missing permission: {denied[0]}" if denied else None


def _own_sidecar_scope(mesh: Mesh) -> str | None:
    sidecar = mesh.facts.sidecar
    if why := mesh.facts.why_unknown("mesh-sidecar"):
        return f"it is unknown whether a mesh-wide Sidecar limits the hosts of proxies: {why}"
    if sidecar is None or not sidecar.limits_hosts:
        return None
    return f"a mesh-wide Sidecar limits the hosts of proxies, and this test has no Sidecar ({sidecar})"


def _dual_stack(mesh: Mesh) -> str | None:
    families = mesh.facts.ip_families
    if len(families) == 1:
        return f"the cluster is not dual-stack: its pods have only {families[0]} addresses"
    if why := mesh.facts.why_unknown("istio-dual-stack"):
        return f"it is unknown whether Istio is configured for dual stack: {why}"
    if mesh.facts.value("istio-dual-stack") != "on":
        return "Istio is not configured for dual stack (ISTIO_DUAL_STACK in istiod's environment)"
    return None


DETECTORS: dict[str, Detector] = {
    "registry-only-mesh": _registry_only_mesh,
    "mesh-policy": _mesh_policy,
    "mesh-config": _mesh_config,
    "egress-gateway": _egress_gateway,
    "gateway-http2": gateway_http2,
    "gateway-api": gateway_api,
    "gateway-deployment": gateway_deployment,
    "tls-route": tls_route,
    "backend-tls-policy": backend_tls_policy,
    "dynamic-dns": _dynamic_dns,
    "dynamic-dns-mesh": _dynamic_dns_mesh,
    "validation-webhook": _validation_webhook,
    "secrets-for-proxies": _secrets_for_proxies,
    "dual-stack": _dual_stack,
    "own-sidecar-scope": _own_sidecar_scope,
    "gateways-across-namespaces": gateways_across_namespaces,
    "address-allocation": address_allocation,
    AMBIENT: ambient,
    "proxy-ports": proxy_ports,
    "default-retries": default_retries,
    "two-default-retries": two_default_retries,
    "exported-entries": exported_entries,
    "http-1.1-upstream": http_1_1_upstream,
    "protocol-detection": protocol_detection,
}
PROBED = frozenset({"network-policy", *PROXY_DETECTORS})
"""Features that need pods of the run to detect them, so not before the first test."""
