"""Causes at the egress gateway: bypassed, without a route, without mutual TLS, or closed by a policy."""

from __future__ import annotations

from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.verdict.diagnosis.rules import fault_or_check, logged_hops, sentence
from pytest_istio_egress.verdict.verdict import Exchange


def bypassed(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """The external server answered, and the request did not pass the gateway."""
    if (
        expected.gateway is None
        or exchange.gateway is not None
        or exchange.server_saw("server") is None
        or exchange.went_to_gateway
    ):
        return None
    path = f": the sidecar sent it directly to {exchange.sidecar.cluster}" if exchange.sidecar else ""
    advice = fault_or_check(
        context.fault("rule"),
        "Check the VirtualService's route for the gateway `mesh`, and whether it is exported to the client.",
    )
    return f"The request bypassed the egress gateway{path}. {advice}"


def without_route(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """The request reached the gateway, which has no route for it."""
    line, fault = exchange.gateway, context.fault("gateway", "rule")
    if _closed(expected, exchange) and fault:
        return (
            "The egress gateway closed the connection before any request: none of its servers accepts it. "
            f"{sentence(fault)}"
        )
    if line is None or not line.has_flag("NR") or (expected.gateway and expected.gateway.flags == "NR"):
        return None
    advice = fault_or_check(
        fault,
        "Check that Gateway and VirtualService name the same host, and that they are exported to the gateway.",
    )
    details = f", {line.details}" if line.details else ""
    return f"The egress gateway received the request, but has no route for it (NR{details}). {advice}"


def mutual_tls_missing(expected: Outcome, exchange: Exchange, _: FailureContext) -> str | None:
    """The gateway requires the mesh's mutual TLS, and the sidecar does not use it."""
    # The gateway took the client's own TLS for the mesh's, and showed its certificate to the client.
    mistaken = exchange.went_to_gateway and exchange.curl.exit == 60 and 60 not in expected.exits
    if exchange.sidecar is None or not (mistaken or _closed(expected, exchange)):
        return None
    return (
        "The egress gateway accepted no request from the sidecar: it requires mutual TLS (ISTIO_MUTUAL), and the "
        f"sidecar uses none, or another server name, for {exchange.sidecar.cluster or 'the gateway'}. "
        "Check tls.mode and tls.sni of the DestinationRule for the gateway's Service."
    )


def _closed(expected: Outcome, exchange: Exchange) -> bool:
    """Whether the gateway closed the connection without a request: none of its filter chains fits."""
    line = exchange.gateway
    if expected.gateway is None or not exchange.went_to_gateway:
        return False
    return exchange.curl.status in (0, 503) if line is None else line.details == "filter_chain_not_found"


def denied(expected: Outcome, exchange: Exchange, _: FailureContext) -> str | None:
    """An AuthorizationPolicy denied the request."""
    for name, hop, line in logged_hops(expected, exchange):
        details = line.details or ""
        if details.startswith("rbac_access_denied") and hop.details != details and hop.status != line.status:
            policy = details.partition("[")[2].removesuffix("]")
            reason = "no ALLOW rule matches it" if policy in ("", "none") else f"policy {policy}"
            return f"The {name} denied the request ({reason}). Check the AuthorizationPolicies that select the {name}."
    return None
