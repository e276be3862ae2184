"""The table of the permissions that a run needs, and the check which of them the user lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.credentials import CREDENTIALS, SERVED
from pytest_istio_egress.model.mesh_facts import DEFAULT_REVISION, config_map_of
from pytest_istio_egress.model.probe import WORKLOAD_KINDS

CONTROL_PLANE = "istio-system"
MESH_CONFIG = config_map_of(DEFAULT_REVISION)
ANY_NAMESPACE = "istio-egress-nowhere"
"""A namespace that need not exist: what a user may do there, they may do in every namespace."""
MANAGE = ("create", "patch", "delete")
_CREATE = ("create", "patch")
"""For objects that are deleted with their namespace."""


@dataclass(frozen=True)
class Permission:
    """Verbs on resources of one API group."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    purpose: str
    """A comment for the printed role."""
    names: tuple[str, ...] = ()
    """The objects that it is limited to, empty for all."""


@dataclass(frozen=True)
class Role:
    """Permissions that are granted together."""

    name: str
    purpose: str
    """A comment for the printed role."""
    permissions: tuple[Permission, ...]
    namespace: str | None = None
    """The namespace that they are granted in, None for all."""

    @property
    def kind(self) -> str:
        """Its kind in the API."""
        return "Role" if self.namespace else "ClusterRole"


RUN = Role(
    "istio-egress",
    "Required by every run. A ClusterRole, because RBAC cannot match the generated names of a run's namespaces.",
    (
        Permission("", ("namespaces",), ("get", "list", *MANAGE), "the run's namespaces, and those of killed runs"),
        Permission(
            "", ("pods",), ("get", "list", "watch"), "clients and servers of the run; the mesh's egress gateway"
        ),
        Permission(
            "",
            ("pods/exec",),
            ("create", "get"),
            "curl in client pods; Envoy's configuration (create: since Kubernetes 1.35)",
        ),
        Permission("", ("pods/log",), ("get",), "Envoy's access log of sidecars and the egress gateway"),
        Permission("", ("pods",), ("create",), "dry runs only: whether injection and policies accept the run's pods"),
        Permission("", ("events",), ("list",), "why a pod is not ready"),
        Permission("", ("services",), ("get", "list", *MANAGE), "external servers; the mesh's egress gateway"),
        Permission("", ("configmaps",), ("get", *_CREATE), "certificates and configuration of servers"),
        Permission("", ("secrets",), ("get", *_CREATE), "the run's certificates only", (*SERVED, *CREDENTIALS)),
        Permission("", ("serviceaccounts", "endpoints"), MANAGE, "manifests of tests"),
        Permission("apps", ("deployments",), MANAGE, "clients, servers, gateways"),
        Permission("discovery.k8s.io", ("endpointslices",), MANAGE, "manifests of tests"),
        Permission(
            "networking.k8s.io",
            ("networkpolicies",),
            ("list", *MANAGE),
            "manifests of tests, in the run's namespaces only",
        ),
        Permission(
            "networking.istio.io",
            ("destinationrules", "gateways", "serviceentries", "sidecars", "virtualservices"),
            ("list", *MANAGE),
            "manifests of tests; list: those of others, to diagnose failures",
        ),
        Permission(
            "networking.istio.io",
            ("envoyfilters",),
            _CREATE,
            "the access log of the run's proxies; markers that show whether they are in sync",
        ),
        Permission("networking.istio.io", ("serviceentries",), ("get",), "the address that Istio assigns to an entry"),
        Permission(
            "security.istio.io",
            ("authorizationpolicies", "requestauthentications"),
            MANAGE,
            "manifests of tests; markers where the cluster has no EnvoyFilters",
        ),
        Permission(
            "telemetry.istio.io",
            ("telemetries",),
            _CREATE,
            "takes the mesh's own access log out of these namespaces, or enables it without EnvoyFilters",
        ),
        Permission("gateway.networking.k8s.io", ("gateways", "httproutes", "tlsroutes"), MANAGE, "manifests of tests"),
        Permission(
            "coordination.k8s.io", ("leases",), ("create", "list", "patch"), "the lease that shows that a run is alive"
        ),
        Permission(
            "apiextensions.k8s.io",
            ("customresourcedefinitions",),
            ("get",),
            "supported features of the CRDs",
            (
                "serviceentries.networking.istio.io",
                "gateways.gateway.networking.k8s.io",
                "httproutes.gateway.networking.k8s.io",
            ),
        ),
        Permission(
            "admissionregistration.k8s.io",
            ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
            ("list",),
            "revisions and their injection labels; Istio's validating webhook",
        ),
        Permission("security.istio.io", ("peerauthentications",), ("list",), "mode of mutual TLS"),
        Permission("telemetry.istio.io", ("telemetries",), ("list",), "default access log"),
        Permission("apps", ("daemonsets",), ("list",), "whether ambient mode is installed"),
    ),
)

SECRETS = Role(
    "istio-egress-secrets",
    "Optional: for tests that let a proxy of the run read secrets of its namespace, because Kubernetes lets users\n"
    "grant only permissions that they have. Without this role these tests are skipped.",
    (
        Permission("", ("secrets",), ("get", "list", "watch"), "granted to proxies by a Role in the run's namespaces"),
        Permission("rbac.authorization.k8s.io", ("roles", "rolebindings"), MANAGE, "grant them"),
    ),
)


DIAGNOSIS = Role(
    "istio-egress-diagnosis",
    "Optional: list more kinds of resources, which may be the cause of a failure. Without this role a cause in one of\n"
    "them is not found.",
    (
        Permission("networking.istio.io", ("envoyfilters", "proxyconfigs"), ("list",), "what changes a proxy"),
        Permission("extensions.istio.io", ("wasmplugins", "trafficextensions"), ("list",), "what changes a proxy"),
        Permission("security.istio.io", ("authorizationpolicies",), ("list",), "what denies a request"),
        Permission(
            "gateway.networking.k8s.io",
            ("backendtlspolicies", "gateways", "httproutes", "tlsroutes"),
            ("list",),
            "whether routes are attached, and policies accepted",
        ),
    ),
)


def control_plane_role(control_plane: str = CONTROL_PLANE, *mesh_configs: str) -> Role:
    """Return the role for reading the control plane and these ConfigMaps."""
    return Role(
        "istio-egress",
        "Required by every run: read the control plane and the mesh configuration.",
        (
            Permission("apps", ("deployments",), ("list",), "readiness and version of istiod"),
            Permission("", ("configmaps",), ("get",), "mesh configuration", mesh_configs or (MESH_CONFIG,)),
        ),
        control_plane,
    )


def mesh_wide_role(control_plane: str = CONTROL_PLANE, mesh_config: str = MESH_CONFIG) -> Role:
    """Return the role for changing the mesh configuration."""
    return Role(
        "istio-egress-mesh-wide",
        "Optional: for --istio-egress-allow-mesh-wide, and for `istio-egress clean` after such a run was killed.",
        (Permission("", ("configmaps",), ("patch",), "mesh configuration, restored after each test", (mesh_config,)),),
        control_plane,
    )


AMBIENT = Role(
    "istio-egress-ambient",
    "Optional: for tests of ambient mode. Without this role these tests are skipped.",
    (
        Permission(
            "",
            ("pods/portforward",),
            ("create", "get"),
            "ztunnel's configuration (create: since Kubernetes 1.35)",
        ),
        Permission("gateway.networking.k8s.io", ("backendtlspolicies",), MANAGE, "manifests of tests"),
    ),
)
ENDPOINTS = Role(
    "istio-egress-endpoints",
    "Optional: on OpenShift, for tests with Endpoints and EndpointSlices. Without this role these tests are skipped.",
    (
        Permission("", ("endpoints/restricted",), ("create",), "endpoints with the addresses of the run's pods"),
        Permission("discovery.k8s.io", ("endpointslices/restricted",), ("create",), "the same"),
    ),
)
OWN_WORKLOADS = Role(
    "istio-egress-own-workloads",
    "Optional: for probes from your own workloads, through an ephemeral container in one of their pods.",
    (
        Permission("apps", tuple(f"{kind}s" for kind in WORKLOAD_KINDS), ("get",), "the pods of a workload"),
        Permission("", ("pods/ephemeralcontainers",), ("patch",), "the container with curl"),
    ),
)


def roles(control_plane: str = CONTROL_PLANE, mesh_config: str = MESH_CONFIG, *shared: str) -> tuple[Role, ...]:
    """Return all roles for a mesh with this control plane, its ConfigMap, and one that it overrides."""
    optional = DIAGNOSIS, SECRETS, AMBIENT, ENDPOINTS, OWN_WORKLOADS
    return (
        RUN,
        control_plane_role(control_plane, mesh_config, *shared),
        *optional,
        mesh_wide_role(control_plane, mesh_config),
    )


@dataclass(frozen=True)
class Action:
    """One verb on one resource; an empty `name` stands for objects of any name."""

    verb: str
    group: str
    resource: str
    name: str
    role: Role

    def __str__(self) -> str:
        """Return it in the syntax of `kubectl auth can-i`."""
        resource = self.resource + (f".{self.group}" if self.group else "") + (f"/{self.name}" if self.name else "")
        scope = f"in namespace {self.role.namespace}" if self.role.namespace else "in all namespaces"
        return f"{self.verb} {resource} {scope} ({self.role.kind} {self.role.name})"


def actions(role: Role) -> list[Action]:
    """Return every action that a role allows."""
    return [
        Action(verb, permission.group, resource, name, role)
        for permission in role.permissions
        for resource, verb, name in product(permission.resources, permission.verbs, permission.names or ("",))
    ]


def missing_permissions(api: Api, roles: Iterable[Role]) -> list[Action]:
    """Return the actions of the roles that this user may not perform, in the order of the table."""
    missing: list[Action] = []
    for role in roles:
        rules = _rules(api, role.namespace or ANY_NAMESPACE)
        # One review returns all RBAC rules; other authorizers of the cluster must be queried for each action.
        not_covered = [action for action in actions(role) if not any(_covers(rule, action) for rule in rules)]
        with ThreadPoolExecutor(8) as pool:
            allowed = list(pool.map(lambda action: _allowed(api, action), not_covered))
        missing += [action for action, is_allowed in zip(not_covered, allowed, strict=True) if not is_allowed]
    return missing


def _rules(api: Api, namespace: str) -> Sequence[client.V1ResourceRule]:
    review = client.V1SelfSubjectRulesReview(spec=client.V1SelfSubjectRulesReviewSpec(namespace=namespace))
    try:
        status = client.AuthorizationV1Api(api.client).create_self_subject_rules_review(review).status
    except ApiException as error:
        raise ClusterError(f"cannot check this user's permissions: {reason(error)}") from error
    rules: Sequence[client.V1ResourceRule] = status.resource_rules or ()
    return rules


def _covers(rule: client.V1ResourceRule, action: Action) -> bool:
    """Whether an RBAC rule allows an action; `*` matches all resources, and `*/exec` that subresource of all."""
    subresource = action.resource.partition("/")[2]
    resources = {action.resource, "*", f"*/{subresource}" if subresource else "*"}
    return (
        bool({action.verb, "*"} & set(rule.verbs))
        and bool({action.group, "*"} & set(rule.api_groups or ()))
        and bool(resources & set(rule.resources or ()))
        and (not rule.resource_names or action.name in rule.resource_names)
    )


def _allowed(api: Api, action: Action) -> bool:
    resource, _, subresource = action.resource.partition("/")
    attributes = client.V1ResourceAttributes(
        verb=action.verb,
        group=action.group,
        resource=resource,
        subresource=subresource or None,
        name=action.name or None,
        namespace=action.role.namespace or "",
    )
    review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes))
    try:
        response = client.AuthorizationV1Api(api.client).create_self_subject_access_review(review)
    except ApiException as error:
        raise ClusterError(f"cannot check this user's permissions: {reason(error)}") from error
    return bool(response.status.allowed)
