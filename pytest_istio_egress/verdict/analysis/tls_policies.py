"""BackendTLSPolicies of the Gateway API: which one sets a cluster's TLS, and what keeps one from a host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_istio_egress.verdict.analysis.configuration import Configuration
from pytest_istio_egress.verdict.analysis.documents import Document, covers, full_name, namespace_of, refusal, spec_of
from pytest_istio_egress.verdict.analysis.hosts import definitions
from pytest_istio_egress.verdict.proxy_path import Origin

Target = Mapping[str, Any]


def policy_of(configuration: Configuration, origin: Origin | None, port: int) -> Document | None:
    """Return the BackendTLSPolicy that the TLS of a cluster comes from, for a port of its target; None for a rule.

    Of several, the one for that port alone decides, then the oldest.
    """
    if origin is None or not origin.target:
        return None
    found = [
        (policy, target)
        for policy in configuration.tls_policies
        if namespace_of(policy) == origin.namespace
        for target in _targets(policy)
        if _shown(target) == origin.target and _other_port(configuration, target, origin.namespace, port) is None
    ]
    ranked = sorted(found, key=lambda each: (not each[1].get("sectionName"), _age(each[0])))
    return ranked[0][0] if ranked else None


def why_no_policy(configuration: Configuration, host: str, port: int) -> str:
    """Return what keeps a BackendTLSPolicy from a host's port, as a main clause; empty where none is about the host."""
    if "BackendTLSPolicy" in configuration.unread:
        return ""
    own = definitions(configuration, host)
    return next(
        (
            why
            for policy in configuration.tls_policies
            for target in _targets(policy)
            for why in _why_not(configuration, policy, target, own, host, port)
        ),
        "",
    )


def rejected(policy: Document, target: str) -> str:
    """Return why istiod does not take a policy for a target (`ServiceEntry partner`), as `Reason: message`, or ""."""
    for ancestor in (policy.get("status") or {}).get("ancestors") or []:
        if _shown(ancestor.get("ancestorRef") or {}) != target:
            continue
        # The reason of ResolvedRefs tells more than that of Accepted, which follows from it.
        for name in ("ResolvedRefs", "Accepted"):
            for condition in ancestor.get("conditions") or []:
                if condition.get("type") == name and condition.get("status") == "False":
                    return refusal(condition)
    return ""


def _why_not(
    configuration: Configuration, policy: Document, target: Target, own: list[Document], host: str, port: int
) -> Iterator[str]:
    if not any(_is_target(policy, target, each) for each in own):
        # Only the host that it verifies ties a policy for something else to this host.
        name = str((spec_of(policy).get("validation") or {}).get("hostname") or "")
        if own and name and covers(name, host) and not _has_target(policy, own):
            yield (
                f"{full_name(policy)} verifies {name}, and its target is {_shown(target)} of its own namespace: it has "
                f"no effect on {full_name(own[0])}"
            )
        return
    if reason := rejected(policy, _shown(target)):
        yield f"{full_name(policy)} is not accepted ({reason})"
    elif other := _other_port(configuration, target, namespace_of(policy), port):
        yield f"{full_name(policy)} is only for the port {other} of {_shown(target)}"


def _shown(target: Target) -> str:
    return f"{target.get('kind')} {target.get('name')}"


def _targets(policy: Document) -> list[Target]:
    return list(spec_of(policy).get("targetRefs") or [])


def _is_target(policy: Document, target: Target, document: Document) -> bool:
    wanted = (target.get("kind"), target.get("name"), namespace_of(policy))
    return wanted == (document["kind"], document["metadata"]["name"], namespace_of(document))


def _has_target(policy: Document, documents: list[Document]) -> bool:
    return any(_is_target(policy, target, each) for target in _targets(policy) for each in documents)


def _other_port(configuration: Configuration, target: Target, namespace: str, port: int) -> str | None:
    """Return the name of the port that a target is limited to, where that is not the given one."""
    section = target.get("sectionName")
    documents = configuration.entries if target.get("kind") == "ServiceEntry" else configuration.services
    document = next(
        (
            each
            for each in documents
            if (each["metadata"]["name"], namespace_of(each)) == (target.get("name"), namespace)
        ),
        None,
    )
    if not section or document is None:
        return None
    names = [
        str(each.get("name") or "")
        for each in spec_of(document).get("ports") or []
        if int(each.get("number") or each.get("port") or 0) == port
    ]
    return None if section in names else str(section)


def _age(policy: Document) -> tuple[str, str]:
    metadata = policy["metadata"]
    return str(metadata.get("creationTimestamp") or ""), str(metadata["name"])
