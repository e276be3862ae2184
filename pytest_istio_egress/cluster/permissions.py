"""The one table of the rights that a run needs in a cluster, and what of them its user lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.credentials import CREDENTIALS, SERVED

CONTROL_PLANE = "istio-system"
MESH_CONFIG = "istio"
"""The ConfigMap of the default revision."""
NOWHERE = "istio-egress-nowhere"
"""A namespace that need not exist: what one may do there one may do in every namespace."""
_MADE = ("create", "patch", "delete")
_KEPT = ("create", "patch")  # goes with its namespace


@dataclass(frozen=True)
class Right:
    """Verbs on resources of one API group; `names` limits it to objects of these names. `why` is for people."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Role:
    """Rights that are granted together: in every namespace, or in one."""

    name: str
    why: str
    rights: tuple[Right, ...]
    namespace: str | None = None

    @property
    def kind(self) -> str:
        """Kubernetes' name for it."""
        return "Role" if self.namespace else "ClusterRole"


RUN = Role(
    "istio-egress",
    "What every run needs. Its namespaces have names of their own, which RBAC can't know beforehand.",
    (
        Right("", ("namespaces",), ("get", "list", *_MADE), "the run's own, and those that killed runs left"),
        Right("", ("pods",), ("get", "list", "watch"), "its clients and servers; the mesh's egress gateway"),
        Right(
            "",
            ("pods/exec",),
            ("create", "get"),
            "curl in clients; Envoy's configuration (create: since 1.35)",
        ),
        Right("", ("pods/log",), ("get",), "Envoy's access log: sidecars, and the egress gateway"),
        Right("", ("events",), ("list",), "why a pod does not get ready"),
        Right("", ("services",), ("get", "list", *_MADE), "the outside world; the mesh's egress gateway"),
        Right("", ("configmaps",), ("get", *_KEPT), "certificates and the servers' configuration"),
        Right("", ("secrets",), ("get", *_KEPT), "the run's certificates, and no others", (*SERVED, *CREDENTIALS)),
        Right("", ("serviceaccounts", "endpoints"), _MADE, "of cases"),
        Right("apps", ("deployments",), _MADE, "clients, servers, gateways"),
        Right("discovery.k8s.io", ("endpointslices",), _MADE, "of cases"),
        Right("networking.k8s.io", ("networkpolicies",), ("list", *_MADE), "of cases, in the run's namespaces only"),
        Right(
            "networking.istio.io",
            ("destinationrules", "gateways", "serviceentries", "sidecars", "virtualservices"),
            ("list", *_MADE),
            "what is asked about; those of others tell why something does not hold",
        ),
        Right("networking.istio.io", ("envoyfilters",), _KEPT, "markers, by which is seen what a proxy has"),
        Right("networking.istio.io", ("serviceentries",), ("get",), "the address that Istio gives an entry"),
        Right("security.istio.io", ("authorizationpolicies", "requestauthentications"), _MADE, "of cases"),
        Right("telemetry.istio.io", ("telemetries",), _KEPT, "switches the access log on in the run's namespaces"),
        Right("gateway.networking.k8s.io", ("gateways", "httproutes", "tlsroutes"), _MADE, "of cases"),
        Right("coordination.k8s.io", ("leases",), ("create", "list", "patch"), "shows that a run is alive"),
        Right(
            "apiextensions.k8s.io",
            ("customresourcedefinitions",),
            ("get",),
            "what the mesh's version knows",
            ("serviceentries.networking.istio.io", "gateways.gateway.networking.k8s.io"),
        ),
        Right(
            "admissionregistration.k8s.io",
            ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
            ("list",),
            "revisions and what they inject; whether somebody checks Istio's resources",
        ),
        Right("security.istio.io", ("peerauthentications",), ("list",), "the mesh's mutual TLS"),
        Right("telemetry.istio.io", ("telemetries",), ("list",), "what proxies log by default"),
        Right("apps", ("daemonsets",), ("list",), "whether ambient mode is there"),
    ),
)

SECRETS = Role(
    "istio-egress-secrets",
    "For cases that give a proxy of the run the right to read secrets of its own namespace: nobody may grant what he\n"
    "does not have. Without this role they are skipped.",
    (
        Right("", ("secrets",), ("get", "list", "watch"), "what is granted, by a Role in the run's own namespaces"),
        Right("rbac.authorization.k8s.io", ("roles", "rolebindings"), _MADE, "by which it is granted"),
    ),
)


def control_plane_role(control_plane: str = CONTROL_PLANE, mesh_config: str = MESH_CONFIG) -> Role:
    """Return what a run needs in the control plane's namespace."""
    return Role(
        "istio-egress",
        "Look at the control plane: whether it is there, and how the mesh is configured.",
        (
            Right("apps", ("deployments",), ("list",), "whether istiod is ready, and its version"),
            Right("", ("configmaps",), ("get",), "the mesh's configuration", (mesh_config,)),
        ),
        control_plane,
    )


def mesh_wide_role(control_plane: str = CONTROL_PLANE, mesh_config: str = MESH_CONFIG) -> Role:
    """Return what cases need that change the mesh's own configuration."""
    return Role(
        "istio-egress-mesh-wide",
        "Only for --istio-egress-allow-mesh-wide, and for what `istio-egress clean` finds changed of the mesh.",
        (Right("", ("configmaps",), ("patch",), "the mesh's configuration, put back after a case", (mesh_config,)),),
        control_plane,
    )


OWN_WORKLOADS = Role(
    "istio-egress-own-workloads",
    "Only for probes from workloads of your own: an ephemeral container is added to a pod of theirs.",
    (
        Right("apps", ("deployments", "statefulsets", "daemonsets"), ("get",), "which pods are theirs"),
        Right("", ("pods/ephemeralcontainers",), ("patch",), "a container with curl"),
    ),
)


def roles(control_plane: str = CONTROL_PLANE, mesh_config: str = MESH_CONFIG) -> tuple[Role, ...]:
    """Return all roles, for a mesh whose control plane and configuration are there."""
    where = control_plane, mesh_config
    return RUN, control_plane_role(*where), SECRETS, OWN_WORKLOADS, mesh_wide_role(*where)


@dataclass(frozen=True)
class Action:
    """One thing to be allowed; `name` empty: whatever the object's name."""

    verb: str
    group: str
    resource: str
    name: str
    role: Role

    def __str__(self) -> str:
        """Return it the way `kubectl auth can-i` is asked."""
        resource = self.resource + (f".{self.group}" if self.group else "") + (f"/{self.name}" if self.name else "")
        where = f"in namespace {self.role.namespace}" if self.role.namespace else "in all namespaces"
        return f"{self.verb} {resource} {where} ({self.role.kind} {self.role.name})"


def actions(role: Role) -> list[Action]:
    """Return all that a role allows, one by one."""
    return [
        Action(verb, right.group, resource, name, role)
        for right in role.rights
        for resource, verb, name in product(right.resources, right.verbs, right.names or ("",))
    ]


def missing_permissions(api: Api, roles: Iterable[Role]) -> list[Action]:
    """Return what the roles allow and this user may not, in the table's order."""
    found: list[Action] = []
    for role in roles:
        granted = _rules(api, role.namespace or NOWHERE)
        # Rules tell at once of RBAC; what other authorizers of the cluster allow only they can say, one by one.
        doubtful = [action for action in actions(role) if not any(_covers(rule, action) for rule in granted)]
        with ThreadPoolExecutor(8) as pool:
            allowed = list(pool.map(lambda action: _allowed(api, action), doubtful))
        found += [action for action, granted_anyway in zip(doubtful, allowed, strict=True) if not granted_anyway]
    return found


def _rules(api: Api, namespace: str) -> Sequence[client.V1ResourceRule]:
    review = client.V1SelfSubjectRulesReview(spec=client.V1SelfSubjectRulesReviewSpec(namespace=namespace))
    try:
        status = client.AuthorizationV1Api(api.client).create_self_subject_rules_review(review).status
    except ApiException as error:
        raise ClusterError(f"what this user may do can't be found out: {reason(error)}") from error
    rules: Sequence[client.V1ResourceRule] = status.resource_rules or ()
    return rules


def _covers(rule: client.V1ResourceRule, action: Action) -> bool:
    """Whether an RBAC rule allows an action; `*` stands for all, and `*/exec` for that part of all."""
    part = action.resource.partition("/")[2]
    resources = {action.resource, "*", f"*/{part}" if part else "*"}
    return (
        bool({action.verb, "*"} & set(rule.verbs))
        and bool({action.group, "*"} & set(rule.api_groups or ()))
        and bool(resources & set(rule.resources or ()))
        and (not rule.resource_names or action.name in rule.resource_names)
    )


def _allowed(api: Api, action: Action) -> bool:
    resource, _, part = action.resource.partition("/")
    attributes = client.V1ResourceAttributes(
        verb=action.verb, group=action.group, resource=resource, subresource=part or None, name=action.name or None,
        namespace=action.role.namespace or "",
    )  # fmt: skip
    review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes))
    try:
        answer = client.AuthorizationV1Api(api.client).create_self_subject_access_review(review)
    except ApiException as error:
        raise ClusterError(f"what this user may do can't be found out: {reason(error)}") from error
    return bool(answer.status.allowed)
