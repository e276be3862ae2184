"""From the evidence of one request to one sentence: why it differs from the expected outcome, and what to check."""

from __future__ import annotations

from pytest_istio_egress.verdict.diagnosis import client, configuration, gateway, routing, sidecar, tls
from pytest_istio_egress.verdict.diagnosis.rules import Cause
from pytest_istio_egress.verdict.verdict import Verdict

CAUSES: tuple[Cause, ...] = (
    # Certain: the proxy is missing, or does not have what istiod sent.
    sidecar.not_injected,
    sidecar.not_ready,
    configuration.rejected,
    configuration.two_sidecars,
    sidecar.bypassed,
    # Where the sidecar's own line names what it did.
    sidecar.passthrough,
    sidecar.black_hole,
    sidecar.block_all,
    # TLS: more particular than the flags UF and NC that it comes with.
    tls.secret_missing,
    tls.other_name,
    tls.revoked,
    tls.expired,
    tls.other_authority,
    tls.not_verified,
    tls.not_tls,
    tls.plain_to_tls,
    tls.client_certificate_missing,
    tls.client_certificate_refused,
    # The egress gateway.
    gateway.bypassed,
    gateway.without_route,
    gateway.mutual_tls_missing,
    gateway.denied,
    # Timeouts and faults that rules set.
    routing.timeout_missing,
    routing.timeout,
    routing.other_time,
    routing.rewritten,
    routing.fault_injected,
    # Envoy's response flags, each with the fault that the configuration has.
    routing.no_route,
    routing.no_cluster,
    routing.no_address,
    routing.no_healthy_upstream,
    routing.not_connected,
    routing.upstream_reset,
    routing.client_disconnected,
    # Only curl's result shows these.
    client.no_address,
    client.certificate,
    client.handshake,
    client.no_answer,
    # The rest.
    sidecar.no_line,
    configuration.fault,
    routing.answer_of_host,
)
"""The causes that are diagnosed, the most certain one first."""


def cause(verdict: Verdict) -> str:
    """Return the sentence of the first cause in the table that fits, with the run's own names."""
    if any(difference.hop == "control" for difference in verdict.differences):
        return (
            "The request was blocked as expected, but no control passed, so the block may be an outage. Check the "
            "control first."
        )
    for rule in CAUSES:
        text = rule(verdict.expected, verdict.exchange, verdict.failure_context)
        if text:
            return text
    return "No known cause fits. Check the differences and the access log lines."
