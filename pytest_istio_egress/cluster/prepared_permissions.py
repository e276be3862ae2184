"""The permissions of a run in prepared namespaces: in these, and to read what it must know of the mesh."""

from __future__ import annotations

from dataclasses import replace

from pytest_istio_egress.cluster.permissions import CONTROL_PLANE, DIAGNOSIS, MANAGE, RUN, Permission, Role

_KEEP = ("get", "list", *MANAGE)
"""For objects that a run finds again, and deletes one by one."""

PREPARED = Role(
    "istio-egress-prepared",
    "Required: bound in each prepared namespace, and nowhere else. What a run creates there it also lists and deletes.",
    (
        Permission("", ("namespaces",), ("get",), "this namespace: for how many workers it was prepared"),
        Permission("", ("pods",), (*_KEEP, "watch"), "clients and servers"),
        Permission(
            "",
            ("pods/exec",),
            ("create", "get"),
            "curl in client pods; Envoy's configuration (create: since Kubernetes 1.35)",
        ),
        Permission("", ("pods/log",), ("get",), "Envoy's access log"),
        Permission("", ("events",), ("list",), "why a pod is not ready"),
        Permission("", ("secrets",), (*_KEEP, "watch"), "certificates; watch: granted to proxies by a Role"),
        Permission(
            "", ("configmaps", "endpoints", "serviceaccounts", "services"), _KEEP, "servers and manifests of tests"
        ),
        Permission("", ("endpoints/restricted",), ("create",), "on OpenShift: endpoints with addresses of pods"),
        Permission("apps", ("deployments",), _KEEP, "clients, servers, gateways"),
        Permission("coordination.k8s.io", ("leases",), _KEEP, "the lease: one run at a time uses these namespaces"),
        Permission("discovery.k8s.io", ("endpointslices",), _KEEP, "manifests of tests"),
        Permission("discovery.k8s.io", ("endpointslices/restricted",), ("create",), "on OpenShift, as endpoints"),
        Permission(
            "gateway.networking.k8s.io",
            ("backendtlspolicies", "gateways", "httproutes", "tlsroutes"),
            _KEEP,
            "manifests of tests",
        ),
        Permission(
            "networking.istio.io",
            ("destinationrules", "envoyfilters", "gateways", "serviceentries", "sidecars", "virtualservices"),
            _KEEP,
            "manifests of tests; the access log of the run's proxies, and markers that show whether they are in sync",
        ),
        Permission("networking.k8s.io", ("networkpolicies",), _KEEP, "manifests of tests"),
        Permission("rbac.authorization.k8s.io", ("rolebindings", "roles"), _KEEP, "let gateways read their secrets"),
        Permission(
            "security.istio.io", ("authorizationpolicies", "requestauthentications"), _KEEP, "manifests of tests"
        ),
        Permission("telemetry.istio.io", ("telemetries",), _KEEP, "takes the mesh's own access log out"),
    ),
)
MESH_READS = Role(
    "istio-egress-mesh",
    "Required with prepared namespaces: read how Istio is installed; objects without a namespace.",
    tuple(each for each in RUN.permissions if each.group in ("apiextensions.k8s.io", "admissionregistration.k8s.io")),
)
DIAGNOSIS_OF_PREPARED = Role(
    DIAGNOSIS.name,
    "Optional: list resources of all namespaces, which may be the cause of a failure, and the mesh's egress gateways.\n"
    "Without this role a cause in one of them is not found, and --istio-egress-gateway names the gateway to test.",
    (
        Permission("", ("namespaces", "pods", "services"), ("list",), "egress gateways, and where rules apply"),
        Permission(
            "networking.istio.io",
            ("destinationrules", "gateways", "serviceentries", "sidecars", "virtualservices"),
            ("list",),
            "rules of others",
        ),
        *DIAGNOSIS.permissions,
    ),
)


def prepared_role(namespace: str) -> Role:
    """Return what a run may do in one prepared namespace."""
    return replace(PREPARED, namespace=namespace)


def root_role(root: str = CONTROL_PLANE) -> Role:
    """Return the role for reading the mesh-wide resources, and a pod for the cluster's IP families."""
    return Role(
        "istio-egress-root",
        "Required with prepared namespaces: read what applies to the whole mesh.",
        (
            Permission("", ("pods",), ("list",), "the IP families of pods"),
            Permission("networking.istio.io", ("sidecars",), ("list",), "a mesh-wide Sidecar"),
            Permission("security.istio.io", ("peerauthentications",), ("list",), "mode of mutual TLS"),
            Permission("telemetry.istio.io", ("telemetries",), ("list",), "default access log"),
        ),
        root,
    )


def gateway_role(namespace: str) -> Role:
    """Return the role for testing the mesh's egress gateway in this namespace."""
    return Role(
        "istio-egress-gateway",
        "Optional: test the mesh's own egress gateway. Without this role: --istio-egress-gateway own, or none.",
        (
            Permission("", ("services",), ("get", "list"), "the gateway"),
            Permission("", ("pods",), ("get", "list", "watch"), "its pods"),
            Permission("", ("pods/exec",), ("create", "get"), "their configuration"),
            Permission("", ("pods/log",), ("get",), "their access log"),
        ),
        namespace,
    )
