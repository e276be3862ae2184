"""The hint of an error names who rejected a request: Istio, a policy of the cluster, a quota, or RBAC."""

from __future__ import annotations

import json

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.apply import RefusedError
from pytest_istio_egress.cluster.readiness import NotReadyError
from pytest_istio_egress.plugin.failure_reports import error_line


def rejected(message: str) -> str:
    return error_line(RefusedError(f"deployment/sleep -n egress-client was rejected: {message}"))


def hint_of(line: str) -> str:
    return line.partition(". hint: ")[2]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        pytest.param(
            'admission webhook "rev.validation.istio.io" denied the request: configuration is invalid: no hosts',
            ["Istio's validation", "rev.validation.istio.io", "version of Istio"],
            id="istio",
        ),
        pytest.param(
            'admission webhook "validate.kyverno.svc-fail" denied the request: resource blocked by policy',
            ["policy of this cluster", "not Istio", "validate.kyverno.svc-fail"],
            id="kyverno",
        ),
        pytest.param(
            'admission webhook "validation.gatekeeper.sh" denied the request: [required-labels] missing label team',
            ["policy of this cluster", "validation.gatekeeper.sh"],
            id="gatekeeper",
        ),
        pytest.param(
            "deployments.apps \"sleep\" is forbidden: ValidatingAdmissionPolicy 'images.example.com' with binding "
            "'all' denied request: failed expression",
            ["ValidatingAdmissionPolicy images.example.com", "not Istio"],
            id="validating-admission-policy",
        ),
        pytest.param(
            'pods "sleep" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
            ["Pod Security level restricted:latest", "pod-security.kubernetes.io"],
            id="pod-security",
        ),
        pytest.param(
            'pods "sleep" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=10, limited: pods=10',
            ["ResourceQuota compute"],
            id="exceeded-quota",
        ),
        pytest.param(
            'pods "sleep" is forbidden: failed quota: compute: must specify limits.cpu for: curl',
            ["ResourceQuota compute"],
            id="failed-quota",
        ),
        pytest.param(
            'pods "sleep" is forbidden: maximum cpu usage per Container is 100m, but limit is 200m',
            ["LimitRange"],
            id="limit-range",
        ),
        pytest.param(
            'pods "sleep" is forbidden: minimum memory usage per Container is 64Mi, but request is 32Mi',
            ["LimitRange", "--istio-egress-resource"],
            id="limit-range-minimum",
        ),
        pytest.param(
            'pods "sleep-" is forbidden: unable to validate against any security context constraint: [provider '
            '"restricted-v2": .containers[0].runAsUser: Invalid value: 100: must be in the ranges]',
            ["SCC", "--istio-egress-user-ids assigned"],
            id="security-context-constraint",
        ),
        pytest.param(
            "endpoints is forbidden: endpoint address 10.128.0.7 is not allowed",
            ["endpoints/restricted"],
            id="restricted-endpoints",
        ),
        pytest.param(
            'admission webhook "rancher.cattle.io.namespaces" denied the request: Unauthorized',
            ["updatepsa"],
            id="rancher-pod-security",
        ),
        pytest.param("Unauthorized", ["credentials", "kubectl auth whoami"], id="credentials"),
        pytest.param(
            'pods "sleep" is forbidden: failed quota: disk: must specify limits.ephemeral-storage for: istio-proxy',
            ["ResourceQuota disk", "of the mesh's proxies", "global.proxy.resources"],
            id="quota-for-the-proxy",
        ),
        pytest.param(
            'Pod "sleep" is invalid: spec.containers[0].resources.requests: Invalid value: "10m": must be less than or '
            "equal to cpu limit of 5m",
            ["LimitRange", "--istio-egress-resource"],
            id="limit-range-default-below-the-request",
        ),
        pytest.param(
            "services is forbidden: MutatingAdmissionPolicy 'owners' with binding 'all' denied request: no such key",
            ["MutatingAdmissionPolicy owners", "--istio-egress-label"],
            id="mutating-admission-policy",
        ),
        pytest.param(
            'admission webhook "validation.gatekeeper.sh" denied the request: [capabilities] container <istio-init> '
            "has a disallowed capability. Allowed capabilities are []",
            ["NET_ADMIN", "CNI plugin"],
            id="capabilities",
        ),
        pytest.param(
            'pods "sleep" is forbidden: image policy webhook backend denied one or more images: not signed',
            ["admission plugin of the API server", "-image"],
            id="image-policy-webhook",
        ),
        pytest.param(
            'pods "sleep" is forbidden: pod node label selector conflicts with its namespace node label selector',
            ["admission plugin of the API server"],
            id="pod-node-selector",
        ),
        pytest.param(
            'services "outside" is forbidden: unable to create new content in namespace egress-outside-team-a because '
            "it is being terminated",
            ["egress-outside-team-a is being deleted"],
            id="namespace-is-being-deleted",
        ),
        pytest.param(
            "no ready pod app=sleep in egress-plain: FailedScheduling: 0/3 nodes are available: 3 node(s) had "
            "untolerated taint {pool: mesh}",
            ["--istio-egress-toleration"],
            id="taint-of-every-node",
        ),
        pytest.param(
            "no ready pod app=sleep in egress-plain: container curl is waiting: ImagePullBackOff Back-off pulling",
            ["--istio-egress-image", "--istio-egress-pull-secret"],
            id="image-that-cannot-be-pulled",
        ),
        pytest.param(
            "no ready pod app=sleep in egress-plain: container curl is waiting: CreateContainerConfigError container "
            "has runAsNonRoot and image has non-numeric user (curl_user), cannot verify user is non-root",
            ["--istio-egress-user-ids fixed"],
            id="image-without-a-numeric-user",
        ),
        pytest.param(
            'failed calling webhook "rev.namespace.sidecar-injector.istio.io": failed to call webhook: Post '
            '"https://istiod.istio-system.svc:443/inject?timeout=10s": context deadline exceeded',
            ["15017", "rev.namespace.sidecar-injector.istio.io"],
            id="injection-webhook-does-not-respond",
        ),
        pytest.param(
            'sidecars.networking.istio.io is forbidden: User "ci" cannot create resource "sidecars" in API group '
            '"networking.istio.io" in the namespace "egress-client"',
            ["The user ci has no permission", "istio-egress rights"],
            id="rbac",
        ),
        pytest.param(
            'ServiceEntry.networking.istio.io "a" is invalid: spec.resolution: Unsupported value: "DYNAMIC_DNS"',
            ["CRDs of this Istio version"],
            id="crd-schema",
        ),
        pytest.param(
            'failed calling webhook "rev.validation.istio.io": connection refused',
            ["rev.validation.istio.io does not respond", "istiod"],
            id="istio-does-not-respond",
        ),
        pytest.param(
            'failed calling webhook "validate.kyverno.svc-fail": context deadline exceeded',
            ["validate.kyverno.svc-fail does not respond"],
            id="other-webhook-does-not-respond",
        ),
        pytest.param(
            'failed calling webhook "rev.namespace.sidecar-injector.istio.io": failed to call webhook: Post '
            '"https://istiod-default.istio-system.svc:443/inject": tls: failed to verify certificate: x509: '
            "certificate signed by unknown authority",
            ["rev.namespace.sidecar-injector.istio.io is not trusted", "caBundle"],
            id="istio-is-not-trusted",
        ),
        pytest.param(
            'failed calling webhook "validate.kyverno.svc-fail": Post "https://kyverno.svc:443/": '
            "tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
            ["validate.kyverno.svc-fail is not trusted", "validity"],
            id="other-webhook-is-not-trusted",
        ),
        pytest.param(
            'failed calling webhook "validation.istio.io": failed to call webhook: Post '
            '"https://istiod.istio-system.svc:443/validate?timeout=10s": service "istiod" not found',
            ["validation.istio.io calls the Service istiod, which does not exist"],
            id="webhook-of-no-service",
        ),
    ],
)
def test_hint_names_who_rejected_the_manifest(message: str, words: list[str]) -> None:
    hint = hint_of(rejected(message))
    assert [word for word in words if word not in hint] == []


@pytest.mark.parametrize(
    "message",
    [
        "FailedScheduling: 0/3 nodes are available: 1 node(s) had untolerated taint {a: b}, 2 Insufficient cpu",
        "container istio-proxy is waiting: ImagePullBackOff",
    ],
)
def test_no_hint_names_an_option_that_cannot_help(message: str) -> None:
    assert "--istio-egress" not in hint_of(rejected(message))


def test_rejection_by_a_policy_does_not_hint_at_istios_version() -> None:
    hint = hint_of(rejected('admission webhook "validate.kyverno.svc-fail" denied the request: blocked'))
    assert "version" not in hint
    assert "CRD" not in hint


def test_error_of_the_api_server_is_read_from_its_body() -> None:
    error = ApiException(status=403, reason="Forbidden")
    error.body = json.dumps({"message": 'pods is forbidden: User "ci" cannot list resource "pods" in API group ""'})
    assert error_line(error).startswith("pods is forbidden")
    assert "The user ci" in hint_of(error_line(error))


def test_hint_falls_back_to_the_type_of_the_error() -> None:
    assert "kubectl describe pod" in hint_of(error_line(NotReadyError("pod sleep is not ready")))
    assert hint_of(error_line(ClusterError("the node is gone"))) == ""
