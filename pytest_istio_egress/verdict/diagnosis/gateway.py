"""Causes on the way over the egress gateway: bypassed, without a route, without mutual TLS, or not allowed."""

from __future__ import annotations

from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.verdict.diagnosis.rules import because, hops
from pytest_istio_egress.verdict.verdict import Exchange


def bypassed(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """The outside answered, and the gateway was not asked."""
    if (
        expected.gateway is None
        or seen.gateway is not None
        or seen.server_saw("server") is None
        or seen.went_to_gateway
    ):
        return None
    to = f" straight to {seen.sidecar.cluster}" if seen.sidecar else ""
    look = because(
        context.fault("rule"),
        "Look at the VirtualService's route for the gateway mesh, and whether it is exported to the client.",
    )
    return f"The gateway was bypassed: the sidecar sent the request{to}. {look}"


def without_route(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """The request came to the gateway, which has nowhere to send it."""
    line, fault = seen.gateway, context.fault("gateway", "rule")
    if _closed(expected, seen) and fault:
        return (
            f"The gateway closed the connection before any request, for no server of it takes it. {because(fault, '')}"
        )
    if line is None or "NR" not in line.flags.split(",") or (expected.gateway and expected.gateway.flags == "NR"):
        return None
    look = because(
        fault,
        "Look whether Gateway and VirtualService name the same host, and whether they are exported to the gateway.",
    )
    return f"The gateway got the request and has no route for it (NR, {line.details}). {look}"


def mutual_tls_missing(expected: Outcome, seen: Exchange, _: FailureContext) -> str | None:
    """The gateway asks for the mesh's mutual TLS, and the sidecar does not speak it."""
    # The gateway took the client's own TLS for the mesh's, and showed its certificate to the client.
    mistaken = seen.went_to_gateway and seen.curl.exit == 60 and 60 not in expected.exits
    if seen.sidecar is None or not (mistaken or _closed(expected, seen)):
        return None
    return (
        "The gateway took no request from the sidecar: it asks for mutual TLS (ISTIO_MUTUAL), and the sidecar speaks "
        f"none, or with another server name, in {seen.sidecar.cluster}. Look at the DestinationRule for the gateway's "
        "Service: its tls mode and sni."
    )


def _closed(expected: Outcome, seen: Exchange) -> bool:
    """Whether the gateway ended the connection without a request: none of its filter chains fits."""
    line = seen.gateway
    if expected.gateway is None or not seen.went_to_gateway:
        return False
    return seen.curl.status in (0, 503) if line is None else line.details == "filter_chain_not_found"


def denied(expected: Outcome, seen: Exchange, _: FailureContext) -> str | None:
    """An AuthorizationPolicy refused it."""
    for whose, hop, line in hops(expected, seen):
        if line.details.startswith("rbac_access_denied") and hop.details != line.details and hop.status != line.status:
            policy = line.details.partition("[")[2].removesuffix("]")
            named = "no ALLOW rule fits it" if policy in ("", "none") else f"by {policy}"
            return f"The {whose} refused it ({named}). Look at the AuthorizationPolicies that select the {whose}."
    return None
