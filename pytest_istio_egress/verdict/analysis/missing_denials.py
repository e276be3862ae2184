"""Why no AuthorizationPolicy denied a request that one was to deny."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_istio_egress.verdict.analysis.attachment import attached, targets_of
from pytest_istio_egress.verdict.analysis.configuration import Configuration, Workload
from pytest_istio_egress.verdict.analysis.documents import (
    Document,
    full_name,
    namespace_of,
    selector_of,
    selects,
)
from pytest_istio_egress.verdict.analysis.policies import action_of, allowing, concerns_host, policies_of

_NAMED = re.compile(r"ns\[([^\]]*)\]-policy\[([^\]]*)\]")
"""How Envoy's details name the policy that denied a request."""
_NO_RULE = "matched_policy[none]"
"""Its details where there are policies with action ALLOW, and none of their rules matches."""


def why_nothing_denies(configuration: Configuration, workload: Workload, host: str, documented: str) -> str:
    """Return why no policy denied a request for a host at a workload, as a main clause; empty where none is certain.

    `documented` are the details of the documented denial, which name the policy; empty where they are not known.
    Beside policies that may deny, only the documented one is blamed, and those that list the host.
    """
    if "AuthorizationPolicy" in configuration.unread:
        return ""
    if why := _why_documented_one_denies_nothing(configuration, workload, documented):
        return why
    applied = policies_of(configuration, workload)
    may_deny = [policy for policy in applied if action_of(policy) in ("ALLOW", "DENY", "CUSTOM")]
    if may_deny:
        return _why_policy_of_host_denies_nothing(configuration, workload, host, may_deny)
    if applied:
        return _only_audited(applied[0])
    near = [policy for policy in _near(configuration, workload) if selector_of(policy)]
    if near:
        return f"no AuthorizationPolicy selects these pods: {full_name(near[0])} selects {_selected(near[0])}"
    if elsewhere := _of_other_namespaces(configuration, workload):
        return _of_another_namespace(elsewhere[0], workload)
    return f"no AuthorizationPolicy applies to these pods in {workload.namespace}"


def _only_audited(policy: Document) -> str:
    return f"{full_name(policy)} has the action AUDIT, which denies nothing"


def _why_documented_one_denies_nothing(configuration: Configuration, workload: Workload, documented: str) -> str:
    """Return why the policy that the documented details name cannot deny at a workload, as a main clause."""
    named = _NAMED.search(documented)
    if named is None:
        return _why_no_allow_applies(configuration, workload) if _NO_RULE in documented else ""
    namespace, name = named.groups()
    own = [each for each in configuration.policies if namespace_of(each) == namespace]
    policy = next((each for each in own if each["metadata"]["name"] == name), None)
    if policy is None:
        elsewhere = [each for each in _of_other_namespaces(configuration, workload) if each["metadata"]["name"] == name]
        missing = f"there is no AuthorizationPolicy {name} in {namespace}"
        return _of_another_namespace(elsewhere[0], workload) if elsewhere else missing
    if not attached(policy, configuration, workload):
        return _why_not_attached(configuration, workload, policy)
    return _only_audited(policy) if action_of(policy) == "AUDIT" else ""


def _why_no_allow_applies(configuration: Configuration, workload: Workload) -> str:
    """Return why no policy with action ALLOW applies, without which nothing is denied for want of a rule."""
    near = [policy for policy in _near(configuration, workload) if action_of(policy) == "ALLOW"]
    if allowing(configuration, workload) or not near:
        return ""
    return _why_not_attached(configuration, workload, near[0])


def _why_policy_of_host_denies_nothing(
    configuration: Configuration, workload: Workload, host: str, may_deny: Sequence[Document]
) -> str:
    """Return why a policy that lists the host denies nothing, where none that applies and may deny lists it."""
    if any(concerns_host(policy, host) for policy in may_deny):
        return ""
    for policy in policies_of(configuration, workload):
        if action_of(policy) == "AUDIT" and concerns_host(policy, host):
            return _only_audited(policy)
    for policy in _near(configuration, workload):
        if action_of(policy) == "DENY" and concerns_host(policy, host):
            return _why_not_attached(configuration, workload, policy)
    return ""


def _near(configuration: Configuration, workload: Workload) -> list[Document]:
    """Return the policies of a workload's namespace and of the root namespace that do not apply to it."""
    return [
        policy
        for policy in configuration.policies
        if namespace_of(policy) in (workload.namespace, configuration.mesh.root)
        and not attached(policy, configuration, workload)
    ]


def _why_not_attached(configuration: Configuration, workload: Workload, policy: Document) -> str:
    """Return why a policy does not apply to a workload, as a main clause."""
    name = full_name(policy)
    if namespace_of(policy) not in (workload.namespace, configuration.mesh.root):
        return f"{name} applies to pods of its own namespace only, which is another namespace than {workload.namespace}"
    if targets := targets_of(policy):
        listed = ", ".join(f"{target.get('kind')} {target.get('name')}" for target in targets)
        return f"{name} is for {listed}, and not for these pods"
    return f"{name} selects {_selected(policy)}, and these pods have other labels"


def _selected(policy: Document) -> str:
    return ", ".join(f"{label}={value}" for label, value in selector_of(policy).items())


def _of_another_namespace(policy: Document, workload: Workload) -> str:
    return (
        f"{full_name(policy)} selects their labels, and applies to pods of its own namespace only, which is another "
        f"namespace than {workload.namespace}"
    )


def _of_other_namespaces(configuration: Configuration, workload: Workload) -> list[Document]:
    """Return the policies of namespaces that do not apply, whose selector matches a workload."""
    return [
        policy
        for policy in configuration.policies
        if namespace_of(policy) not in (workload.namespace, configuration.mesh.root)
        and selector_of(policy)
        and selects(policy, workload.labels)
    ]
