"""Causes in AuthorizationPolicies: an Envoy on the path, or the destination's own proxy, denied the request."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_istio_egress.verdict.analysis.documents import Document, full_name
from pytest_istio_egress.verdict.analysis.policies import (
    allowing,
    denying,
    host_without_port,
    http_fields,
    identity_fields,
)
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import DENIED, Failure, LoggedHop
from pytest_istio_egress.verdict.diagnosis.rule import OUTCOME, as_sentence, cause, joined
from pytest_istio_egress.verdict.failure_context import WAYPOINT
from pytest_istio_egress.verdict.proxy_path.listeners import ends_mesh_tls

_BODY = "RBAC: access denied"
_POLICY = re.compile(r"ns\[(?P<namespace>[^\]]*)\]-policy\[(?P<name>[^\]]*)\]-rule\[(?P<rule>\d+)\]")


def _reason(details: str) -> str:
    match = _POLICY.search(details)
    if match is None:
        return "no ALLOW rule matches it"
    return f"AuthorizationPolicy {match['name']} in {match['namespace']}, rule {match['rule']}"


@cause("an AuthorizationPolicy denies the request", explains=OUTCOME, needs=(Evidence.DETAILS,))
def denied(failure: Failure) -> str | None:
    """An Envoy on the path denied the request."""
    for hop in failure.hops:
        line, expected = hop.line, hop.expected
        if not line.is_denied or expected.details == line.details or expected.status == line.status:
            continue
        return joined(
            f"The {hop.name} denied the request ({_reason(line.details)}).",
            as_sentence(why) if (why := _why_not_allowed(failure, hop)) else "",
            f"Check the AuthorizationPolicies that select the {hop.name}.",
        )
    return None


def _why_not_allowed(failure: Failure, hop: LoggedHop) -> str:
    """Return why a policy with action ALLOW does not match the request, as a main clause; empty without a reason."""
    workload = failure.workload(hop.name)
    if workload is None or _POLICY.search(hop.line.details):
        return ""
    for policy in allowing(failure.configuration, workload):
        authority = hop.line.authority
        if host := host_without_port(policy, authority):
            return (
                f"{full_name(policy)} lists the host {host}, and the Host header is {authority}: a host without a port "
                f"does not match one with a port (list {host}:* as well)"
            )
        names = identity_fields(policy) if hop.name != WAYPOINT else []  # a tunnel to a waypoint shows the identity
        if names and hop.path is not None and hop.path.chain is not None and not ends_mesh_tls(hop.path.chain):
            return (
                f"{full_name(policy)} names {', '.join(names)} of the client, which only mutual TLS shows, and the "
                f"{hop.name} requires none on port {hop.path.request.port}"
            )
    return ""


@cause("an AuthorizationPolicy denies the connection", explains=OUTCOME, needs=(Evidence.TERMINATION,))
def connection_denied(failure: Failure) -> str | None:
    """An Envoy on the path denied a connection of TCP or passed-on TLS; only the termination details have that."""
    for hop in failure.hops:
        if not hop.line.termination.startswith(DENIED):
            continue
        return (
            f"The {hop.name} denied the connection ({_reason(hop.line.termination)}).{_fields(failure, hop)} Check the "
            f"AuthorizationPolicies that select the {hop.name}."
        )
    return None


def _fields(failure: Failure, hop: LoggedHop) -> str:
    """Return that the policy names fields of HTTP, which a connection does not have; empty where it does not."""
    workload = failure.workload(hop.name)
    if workload is not None and not _POLICY.search(hop.line.termination):
        return _unmatched_fields(allowing(failure.configuration, workload))
    policy = denying(failure.configuration, workload, hop.line.termination) if workload else None
    names = http_fields(policy) if policy else []
    if policy is None or not names:
        return ""
    return (
        f" {full_name(policy)} names fields of HTTP ({', '.join(names)}), which are ignored in a DENY rule on TCP and "
        "TLS, so the rest of the rule matches: limit the rule to HTTP with `ports`."
    )


def _unmatched_fields(policies: Sequence[Document]) -> str:
    """Return that policies with action ALLOW name fields of HTTP, so that no connection matches them."""
    named = next(((policy, names) for policy in policies if (names := http_fields(policy))), None)
    if named is None:
        return ""
    return (
        f" {full_name(named[0])} names fields of HTTP ({', '.join(named[1])}), and an ALLOW rule with these matches no "
        "connection of TCP and TLS: use `ports`, or the condition connection.sni."
    )


@cause(
    "the destination's own proxy denies the request",
    explains=OUTCOME,
    needs=(Evidence.STATUS, Evidence.BODY, Evidence.DETAILS),
)
def denied_by_destination(failure: Failure) -> str | None:
    """The answer is that of an Envoy's RBAC filter, and every Envoy that logged the request passed it on."""
    passed_on = failure.hops and all(hop.line.details == "via_upstream" for hop in failure.hops)
    if failure.curl.status != 403 or failure.curl.body.strip() != _BODY or not passed_on:
        return None
    return (
        f"The destination {failure.hops[0].line.upstream} denied the request by its own proxy (403, {_BODY}); the "
        "Envoys before it passed that on. Check the AuthorizationPolicies that select the destination."
    )
