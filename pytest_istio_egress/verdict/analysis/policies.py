"""Which AuthorizationPolicies apply to the pods of a proxy, and what they decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_istio_egress.verdict.analysis.attachment import attached
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, Workload
from pytest_istio_egress.verdict.analysis.documents import (
    Document,
    covers,
    namespace_of,
    spec_of,
)

_HTTP_FIELDS = frozenset({"hosts", "notHosts", "methods", "notMethods", "paths", "notPaths"})


def policies_of(configuration: Configuration, workload: Workload) -> list[Document]:
    """Return the AuthorizationPolicies that apply to a workload."""
    return [policy for policy in configuration.policies if attached(policy, configuration, workload)]


def action_of(policy: Document) -> str:
    """Return the action of a policy; ALLOW is the default."""
    return str(spec_of(policy).get("action") or "ALLOW")


def allowing(configuration: Configuration, workload: Workload) -> list[Document]:
    """Return the policies with action ALLOW that apply to a workload: a request that none matches is denied."""
    return [policy for policy in policies_of(configuration, workload) if action_of(policy) == "ALLOW"]


def host_without_port(policy: Document, authority: str) -> str:
    """Return the host that a policy lists without the port that the Host header has; empty where there is none."""
    host, _, port = authority.rpartition(":")
    listed = [str(each) for operation in _operations(policy) for each in operation.get("hosts") or []]
    return host if port.isdigit() and host in listed and authority not in listed else ""


def identity_fields(policy: Document) -> list[str]:
    """Return the fields of the client's identity that all rules of a policy name: only mutual TLS shows it."""
    rules = spec_of(policy).get("rules") or []
    named = [sorted({name for source in _sources(rule) for name in source} & _IDENTITY_FIELDS) for rule in rules]
    return named[0] if named and all(named) else []


_IDENTITY_FIELDS = frozenset({"namespaces", "principals", "serviceAccounts"})


def _sources(rule: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (each.get("source") or {} for each in rule.get("from") or [])


def _operations(policy: Document) -> Iterator[Mapping[str, Any]]:
    for rule in spec_of(policy).get("rules") or []:
        yield from (target.get("operation") or {} for target in rule.get("to") or [])


def concerns_host(policy: Document, host: str) -> bool:
    """Whether a rule of a policy lists a host, with or without a port."""
    listed = [str(each).partition(":")[0] for operation in _operations(policy) for each in operation.get("hosts") or []]
    return any(covers(each, host) for each in listed)


def policies_of_client(configuration: Configuration, request: ClientRequest) -> Iterator[Document]:
    """Yield the policies of the client's own namespace that list the request's host, and apply to the client's pod."""
    for policy in policies_of(configuration, request):
        if namespace_of(policy) == request.namespace and concerns_host(policy, request.host):
            yield policy


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
    for operation in _operations(policy):
        yield from (field for field in operation if field in _HTTP_FIELDS)
