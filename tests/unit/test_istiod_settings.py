"""Settings of istiod, its release and the installed CRDs: the features that they take away, each with its reason."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.facts.istiod_settings import istiod_settings
from pytest_istio_egress.cluster.features import DETECTORS, missing
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.mesh_facts import Fact, MeshFacts
from pytest_istio_egress.suite.discovery import fixtures_folder, shipped_cases

CONFORMANCE = Path(__file__).parents[2] / "conformance"


def field(*path: str) -> dict[str, Any]:
    """Return a schema with one field; a list on the way there is one in the CRD, too."""
    inner: dict[str, Any] = {"type": "object"}
    for name in reversed(path):
        inner = {"properties": {name: inner}}
        if name == "rules":
            inner["properties"]["rules"] = {"type": "array", "items": inner["properties"]["rules"]}
    return inner


NEW = {
    "httproutes.gateway.networking.k8s.io": field("spec", "rules", "timeouts"),
    "gateways.gateway.networking.k8s.io": field("spec", "infrastructure"),
}
OLD = {name: field("spec", "hostnames") for name in NEW}


def mesh(
    istio: str = "1.31.0",
    settings: str = "default",
    crds: dict[str, Any] = NEW,
    without: tuple[str, ...] = (),
    of_mesh: str = "default",
) -> Mesh:
    facts = {"istio": Fact(istio), "istiod-settings": Fact(settings), "gateway-api": Fact("v1.1.0 standard")}
    facts["mesh-settings"] = Fact(of_mesh)

    def get(name: str) -> Any:
        versions = [{"name": "v1", "schema": {"openAPIV3Schema": crds[name]}}]
        return SimpleNamespace(to_dict=lambda: {"spec": {"versions": versions}})

    api = SimpleNamespace(
        serves=lambda _version, kind: kind not in without, resource=lambda *_: SimpleNamespace(get=get)
    )
    return cast(Mesh, SimpleNamespace(api=api, facts=MeshFacts(facts)))


@pytest.mark.parametrize(
    ("environment", "fact"),
    [
        ({}, "default"),
        ({"PILOT_ENABLE_GATEWAY_API": "true", "PILOT_DEBOUNCE_AFTER": "2s"}, "default"),
        ({"PILOT_ENABLE_GATEWAY_API": "0"}, "PILOT_ENABLE_GATEWAY_API=false"),
        ({"PILOT_ENABLE_GATEWAY_API": "no"}, "default"),
        ({"PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME": ""}, "default"),
        (
            {"PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME": "Corp"},
            "PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME=Corp",
        ),
        (
            {"PILOT_SCOPE_GATEWAY_TO_NAMESPACE": "True", "PILOT_ENABLE_IP_AUTOALLOCATE": "false"},
            "PILOT_ENABLE_IP_AUTOALLOCATE=false PILOT_SCOPE_GATEWAY_TO_NAMESPACE=true",
        ),
    ],
    ids=str,
)
def test_settings_are_those_that_differ_from_the_default(environment: dict[str, str], fact: str) -> None:
    assert istiod_settings(environment) == fact


@pytest.mark.parametrize(
    ("feature", "without_it", "reason"),
    [
        ("gateway-api", mesh(settings="PILOT_ENABLE_GATEWAY_API=false"), "PILOT_ENABLE_GATEWAY_API=false"),
        ("gateway-api", mesh(without=("HTTPRoute",)), "not installed"),
        ("gateway-api", mesh(crds=OLD), r"v1.1.0 standard\) have no HTTPRoute.spec.rules.timeouts"),
        ("gateway-deployment", mesh(settings="PILOT_ENABLE_GATEWAY_API=false"), "ignores the Gateway API"),
        (
            "gateway-deployment",
            mesh(settings="PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER=false"),
            "DEPLOYMENT_CONTROLLER=false",
        ),
        ("gateway-deployment", mesh(crds=OLD), "have no Gateway.spec.infrastructure"),
        (
            "gateway-deployment",
            mesh(settings="PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME=corp"),
            "istiod's GatewayClass is corp, and the tests' Gateways have the class istio",
        ),
        ("tls-route", mesh("1.29.6"), r"Istio 1.29.6 does not support TLSRoute .* \(needs 1.30\)"),
        ("tls-route", mesh(without=("TLSRoute",)), r"v1.1.0 standard\) have no TLSRoute"),
        ("tls-route", mesh(settings="PILOT_ENABLE_GATEWAY_API=false"), "ignores the Gateway API"),
        ("backend-tls-policy", mesh("1.27.9"), r"Istio 1.27.9 does not support BackendTLSPolicy .* \(needs 1.28\)"),
        ("backend-tls-policy", mesh(without=("BackendTLSPolicy",)), r"v1.1.0 standard\) have no BackendTLSPolicy"),
        ("backend-tls-policy", mesh(settings="PILOT_ENABLE_GATEWAY_API=false"), "ignores the Gateway API"),
        (
            "gateways-across-namespaces",
            mesh(settings="PILOT_SCOPE_GATEWAY_TO_NAMESPACE=true"),
            "PILOT_SCOPE_GATEWAY_TO_NAMESPACE=true",
        ),
        ("address-allocation", mesh("1.24.6"), r"Istio 1.24.6 .* \(needs 1.25\)"),
        ("address-allocation", mesh(settings="PILOT_ENABLE_IP_AUTOALLOCATE=false"), "IP_AUTOALLOCATE=false"),
        ("proxy-ports", mesh(of_mesh="proxyListenPort=15101"), r"meshConfig.proxyListenPort: 15101\)"),
        (
            "proxy-ports",
            mesh(of_mesh="proxyListenPort=15101 proxyInboundListenPort=15106"),
            "proxyListenPort: 15101, proxyInboundListenPort: 15106",
        ),
        ("default-retries", mesh(of_mesh="defaultHttpRetryPolicy.retryOn=reset,5xx"), "retryOn reset,5xx"),
        ("two-default-retries", mesh(of_mesh="defaultHttpRetryPolicy.attempts=0"), r"Policy: attempts 0\)"),
        (
            "two-default-retries",
            mesh(of_mesh="defaultHttpRetryPolicy.attempts=5 defaultHttpRetryPolicy.retryOn=5xx,reset"),
            r"Policy: attempts 5, retryOn 5xx,reset\)",
        ),
        ("exported-entries", mesh(of_mesh="serviceEntryVisibility.applyToSidecars=true"), "serviceEntryVisibility"),
        ("protocol-detection", mesh(of_mesh="protocolDetectionTimeout=5s"), r"protocolDetectionTimeout: 5s\)"),
        ("http-1.1-upstream", mesh(of_mesh="h2UpgradePolicy=UPGRADE"), r"meshConfig.h2UpgradePolicy: UPGRADE\)"),
    ],
)
def test_feature_is_missing_with_its_reason(feature: str, without_it: Mesh, reason: str) -> None:
    assert DETECTORS[feature](mesh()) is None
    assert re.search(reason, DETECTORS[feature](without_it) or "")


def test_crd_that_may_not_be_read_is_left_to_the_api_server() -> None:
    def get(name: str) -> Any:
        raise ApiException(status=403, reason=name)

    api = SimpleNamespace(serves=lambda *_: True, resource=lambda *_: SimpleNamespace(get=get))
    assert DETECTORS["gateway-api"](cast(Mesh, SimpleNamespace(api=api, facts=mesh().facts))) is None


def case(test: str) -> Case:
    (found,) = [shipped.case for shipped in shipped_cases(CONFORMANCE) if shipped.id == f"conformance/{test}"]
    assert found
    return found


HTTP_ROUTE = "egress_gateway/test_gateway_api.py::test_http_route_at_gateway_reaches_host"
TLS_ROUTE = "egress_gateway/test_tls_route.py::test_tls_route_at_gateway_reaches_host"
TIMEOUT = "timeouts/test_http_route_timeout.py::test_slow_answer_with_http_route_timeout_ends_with_504"
LIMITED = "serviceEntryVisibility.applyToSidecars=true"
OWN_NAMESPACE = "service_entry/test_resolution_none.py::test_request_with_resolution_none_keeps_address"
OWN_GATEWAY = "egress_gateway/test_authorization.py::test_request_at_gateway_allowed_or_403"


@pytest.mark.parametrize(
    ("test", "istio", "settings", "features"),
    [
        (HTTP_ROUTE, "1.24.6", "default", []),
        (TIMEOUT, "1.24.6", "default", []),
        (TLS_ROUTE, "1.29.6", "default", ["tls-route"]),
        (TLS_ROUTE, "1.30.0", "default", []),
        (HTTP_ROUTE, "1.31.0", "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER=false", ["gateway-deployment"]),
        (TIMEOUT, "1.31.0", "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER=false", []),
        (OWN_GATEWAY, "1.31.0", "PILOT_SCOPE_GATEWAY_TO_NAMESPACE=true", ["gateways-across-namespaces"]),
    ],
)
def test_case_is_skipped_only_for_what_it_needs(
    test: str, istio: str, settings: str, features: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DETECTORS, "secrets-for-proxies", lambda _: None)
    assert list(missing(case(test), mesh(istio, settings), fixtures_folder(), {})) == features


@pytest.mark.parametrize(("test", "features"), [(OWN_NAMESPACE, []), (OWN_GATEWAY, ["exported-entries"])])
def test_case_with_an_exported_entry_is_skipped_where_entries_are_not_exported(
    test: str, features: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DETECTORS, "secrets-for-proxies", lambda _: None)
    assert list(missing(case(test), mesh(of_mesh=LIMITED), fixtures_folder(), {})) == features


def test_other_retry_conditions_of_the_mesh_leave_a_500_alone() -> None:
    assert DETECTORS["default-retries"](mesh(of_mesh="defaultHttpRetryPolicy.retryOn=connect-failure")) is None
