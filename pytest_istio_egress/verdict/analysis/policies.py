"""Which AuthorizationPolicies apply to the pods of a proxy, and what they decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_istio_egress.verdict.analysis.configuration import Configuration, Workload
from pytest_istio_egress.verdict.analysis.documents import (
    Document,
    full_name,
    namespace_of,
    selector_of,
    selects,
    spec_of,
)

_HTTP_FIELDS = frozenset({"hosts", "notHosts", "methods", "notMethods", "paths", "notPaths"})


def policies_of(configuration: Configuration, workload: Workload) -> list[Document]:
    """Return the AuthorizationPolicies that apply to a workload: of its namespace or the root, by its labels."""
    places = (workload.namespace, configuration.mesh.root)
    return [
        policy
        for policy in configuration.policies
        if namespace_of(policy) in places and selects(policy, workload.labels) and not targets_of(policy)
    ]


def targets_of(policy: Document) -> list[Mapping[str, Any]]:
    """Return the resources that a policy names as its targets: waypoints and gateways enforce it for these."""
    spec = spec_of(policy)
    return [*(spec.get("targetRefs") or []), *([spec["targetRef"]] if spec.get("targetRef") else [])]


def action_of(policy: Document) -> str:
    """Return the action of a policy; ALLOW is the default."""
    return str(spec_of(policy).get("action") or "ALLOW")


def why_nothing_denies(configuration: Configuration, workload: Workload) -> str:
    """Return why no policy denies anything at a workload, as a main clause; empty where one may."""
    if "AuthorizationPolicy" in configuration.unread:
        return ""
    applied = policies_of(configuration, workload)
    if any(action_of(policy) in ("ALLOW", "DENY", "CUSTOM") for policy in applied):
        return ""
    if applied:
        return f"{full_name(applied[0])} has the action AUDIT, which denies nothing"
    near = [
        policy
        for policy in configuration.policies
        if namespace_of(policy) in (workload.namespace, configuration.mesh.root) and selector_of(policy)
    ]
    if near:
        labels = ", ".join(f"{name}={value}" for name, value in selector_of(near[0]).items())
        return f"no AuthorizationPolicy selects these pods: {full_name(near[0])} selects {labels}"
    return f"no AuthorizationPolicy applies to these pods in {workload.namespace}"


def denying(configuration: Configuration, workload: Workload, name: str) -> Document | None:
    """Return the policy of a workload that Envoy names as `ns[NAMESPACE]-policy[NAME]-rule[NUMBER]`."""
    return next(
        (
            policy
            for policy in policies_of(configuration, workload)
            if f"ns[{namespace_of(policy)}]-policy[{policy['metadata']['name']}]" in name
        ),
        None,
    )


def http_fields(policy: Document) -> list[str]:
    """Return the fields of HTTP that the policy's rules name: on TCP they cannot be matched."""
    return sorted(set(_fields(policy)))


def _fields(policy: Document) -> Iterator[str]:
    for rule in spec_of(policy).get("rules") or []:
        for target in rule.get("to") or []:
            yield from (field for field in target.get("operation") or {} if field in _HTTP_FIELDS)
