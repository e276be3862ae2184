"""Who refused a request, from the message of the API server, and what to do next.

Policy engines, quotas, Pod Security and webhooks all answer through the API server; only its words tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_EXEMPT = (
    "give the run's objects what it demands (--istio-egress-label, -annotation, -image, -resource, -user-ids), or "
    "exempt the run's namespaces (label istio-egress.dev/run) from"
)
_OF_PROXIES = (
    "of the mesh's proxies: --istio-egress-annotation sidecar.istio.io/proxyCPULimit=... and the like for cpu and "
    "memory, global.proxy.resources of the mesh for others"
)

REFUSALS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"webhook \"(?P<webhook>[^\"]+)\".*: service \"(?P<service>[^\"]+)\" not found", re.DOTALL),
        "The webhook {webhook} calls the Service {service}, which does not exist: compare clientConfig of its webhook "
        "configuration with the Services of the namespace.",
    ),
    (
        re.compile(r"webhook \"(?P<webhook>\S*\.istio\.io)\".*: x509: ", re.DOTALL),
        "Istio's webhook {webhook} is not trusted: istiod of its revision writes caBundle into the webhook's "
        "configuration. Check that caBundle is istiod's, and istiod's log.",
    ),
    (
        re.compile(r"webhook \"(?P<webhook>[^\"]+)\".*: x509: ", re.DOTALL),
        "The webhook {webhook} is not trusted: check caBundle of its webhook configuration, and the names and the "
        "validity of its certificate.",
    ),
    (
        re.compile(r"failed (?:to call|calling) webhook \"(?P<webhook>\S*\.istio\.io)\""),
        "Istio's webhook {webhook} does not respond: check istiod's pods, and that the API server reaches their port "
        "15017 (private clusters need a firewall rule from the control plane to the nodes).",
    ),
    (
        re.compile(r"failed (?:to call|calling) webhook \"(?P<webhook>[^\"]+)\""),
        "The webhook {webhook} does not respond: check its pods, and the network between the API server and them.",
    ),
    (
        re.compile(r"created without a sidecar: the injection webhook was not called"),
        "Check istiod's pods, and that the API server reaches their port 15017: where the webhook has failurePolicy "
        "Ignore, pods are created without a sidecar while it does not.",
    ),
    (
        re.compile(r"admission webhook \"(?P<webhook>\S*validation\.istio\.io)\" denied"),
        "Istio's validation ({webhook}) rejected the manifest: compare its fields with this version of Istio.",
    ),
    (
        re.compile(r"admission webhook \"(?P<webhook>rancher\.cattle\.io\.[^\"]+)\" denied.*Unauthorized"),
        "Rancher ({webhook}) lets only users with the verb updatepsa on projects set Pod Security labels: grant it, "
        "or install Istio CNI, so that no such label is needed.",
    ),
    (
        re.compile(r"denied.*(?:NET_ADMIN|capabilit)", re.DOTALL),
        "A policy of this cluster limits capabilities, and without Istio CNI the container istio-init of each injected "
        "pod needs NET_ADMIN and NET_RAW: install Istio with its CNI plugin, or exempt the run's namespaces (label "
        "istio-egress.dev/run) from that policy.",
    ),
    (
        re.compile(r"admission webhook \"(?P<webhook>[^\"]+)\" denied"),
        f"A policy of this cluster rejected it, not Istio: {_EXEMPT} the webhook {{webhook}}.",
    ),
    (
        re.compile(r"(?P<kind>ValidatingAdmissionPolicy|MutatingAdmissionPolicy) '(?P<policy>[^']+)'"),
        f"A policy of this cluster rejected it, not Istio: {_EXEMPT} the {{kind}} {{policy}}.",
    ),
    (
        re.compile(r"violates PodSecurity \"(?P<level>[^\"]+)\""),
        "The Pod Security level {level} rejects the pod: check the labels pod-security.kubernetes.io/* of its "
        "namespace and the cluster's default level; istio-init needs Istio CNI below level privileged.",
    ),
    (
        re.compile(r"unable to validate against any security context constraint"),
        "No security context constraint (SCC) of OpenShift allows the pod: let the platform choose the user "
        "(--istio-egress-user-ids assigned), and install Istio with its CNI plugin.",
    ),
    (
        re.compile(r"endpoint address (?P<address>\S+) is not allowed"),
        "OpenShift restricts endpoints with addresses of pods: grant `create` on endpoints/restricted and "
        "endpointslices/restricted (in docs/rights.yaml).",
    ),
    (
        re.compile(r"(?:exceeded|failed) quota: (?P<quota>[^\s,:]+)"),
        "The ResourceQuota {quota} rejected it: raise it, set --istio-egress-resource, or exempt the run's namespaces "
        f"({_OF_PROXIES}).",
    ),
    (
        re.compile(
            r"(?:minimum|maximum) \S+ usage per (?:Container|Pod|PersistentVolumeClaim)|max limit to request ratio"
            # A default limit of a LimitRange, which is its maximum unless it says otherwise, below a pod's own request.
            r"|resources\.requests: Invalid value: \S+ must be less than or equal to \S+ limit"
        ),
        "A LimitRange rejected it: check `kubectl get limitrange --all-namespaces`, and set --istio-egress-resource "
        f"({_OF_PROXIES}).",
    ),
    (
        re.compile(r"User \"(?P<user>[^\"]+)\" cannot (?P<verb>\w+) resource"),
        "The user {user} has no permission for it: compare `kubectl auth can-i --list` with `istio-egress rights`.",
    ),
    (
        re.compile(r"(?:^|: )Unauthorized\b"),
        "Log in again, or renew the credentials, and check them with `kubectl auth whoami`.",
    ),
    (
        re.compile(r"in namespace (?P<namespace>\S+) because it is being terminated"),
        "The namespace {namespace} is being deleted: wait until it is gone, and create it again.",
    ),
    (
        re.compile(r"0/(\d+) nodes are available: \1 node\(s\) had untolerated taint"),
        "Every node has a taint that the pod does not tolerate: use --istio-egress-toleration.",
    ),
    (
        re.compile(r"0/(\d+) nodes are available: \1 node\(s\) didn't match Pod's node affinity/selector"),
        "No node has the labels that the pod selects: correct --istio-egress-node-selector.",
    ),
    (
        re.compile(r"container (?!istio-)\S+ is waiting: (?:ErrImagePull|ImagePullBackOff|InvalidImageName)"),
        "The node cannot pull the image: name one that it can pull (--istio-egress-image), and the secret for its "
        "registry (--istio-egress-pull-secret).",
    ),
    (
        re.compile(r"runAsNonRoot and image"),
        "The image states no numeric user, and the platform assigned none: use --istio-egress-user-ids fixed.",
    ),
    (
        # Admission plugins of the API server itself: ImagePolicyWebhook, PodNodeSelector, PodTolerationRestriction.
        re.compile(r"\bis forbidden: (?!error looking up service account|[Uu]ser \")"),
        f"An admission plugin of the API server rejected it, not Istio: {_EXEMPT} it.",
    ),
)
"""What to do next, by the message of the API server, which says who rejected a request."""

_NOT_ABOUT_THE_CLUSTER = re.compile(r"validation\.istio\.io\" denied|User \"[^\"]+\" cannot|does not support dry run")
"""Refusals of one manifest or one user: Istio's validation, RBAC; and webhooks that a dry run must not call."""


_PASSES = re.compile(r"service ?account|failed (?:to call|calling) webhook")
"""Refusals of a new namespace that has no service account yet, and of a webhook that restarts."""


def may_pass(message: str) -> bool:
    """Whether the same request may be accepted soon."""
    return bool(_PASSES.search(message))


def hint_of(message: str) -> str:
    """Return what to do after a refusal, empty where the message does not say who refused."""
    for pattern, hint in REFUSALS:
        if found := pattern.search(message):
            return hint.format(**found.groupdict())
    return ""


def with_hint(message: str) -> str:
    """Return a message with what to do next, where it says who refused."""
    hint = hint_of(message)
    return f"{message.rstrip('.')}. hint: {hint}" if hint else message


def is_of_the_cluster(message: str) -> bool:
    """Whether a rule of the cluster refused a request, so that it refuses all objects of its kind."""
    return bool(hint_of(message)) and not _NOT_ABOUT_THE_CLUSTER.search(message)


def by_message(refused: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the refused kinds by the message of the refusal, so that each rule is told once.

    Messages that differ in names of objects only, as those of one policy do, have the same hint; the first one stands
    for all of them.
    """
    grouped: dict[str, tuple[str, list[str]]] = {}
    for kind, message in refused.items():
        grouped.setdefault(hint_of(message) or message, (message, []))[1].append(kind)
    return dict(grouped.values())
