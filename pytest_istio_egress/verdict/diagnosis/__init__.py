"""From the evidence of one request to one sentence: why it was not as documented, and what to look at next."""

from __future__ import annotations

from pytest_istio_egress.verdict.diagnosis import client, configuration, gateway, routing, sidecar, tls
from pytest_istio_egress.verdict.diagnosis.rules import Cause
from pytest_istio_egress.verdict.verdict import Verdict

CAUSES: tuple[Cause, ...] = (
    # What can't be otherwise: the proxy is not there, or does not have what istiod sent.
    sidecar.not_injected,
    sidecar.not_ready,
    configuration.rejected,
    configuration.two_sidecars,
    sidecar.past_envoy,
    # Where the sidecar itself says what it did.
    sidecar.passthrough,
    sidecar.black_hole,
    sidecar.block_all,
    # TLS: more particular than the flags UF and NC that it comes with.
    tls.secret_missing,
    tls.other_name,
    tls.revoked,
    tls.expired,
    tls.not_verified,
    tls.not_tls,
    tls.plain_to_tls,
    tls.client_certificate_missing,
    tls.client_certificate_refused,
    # The way over the gateway.
    gateway.bypassed,
    gateway.without_route,
    gateway.mutual_tls_missing,
    gateway.denied,
    # Timeouts and faults that rules set.
    routing.timeout_missing,
    routing.timeout,
    routing.fault_injected,
    # Envoy's flags, each with what the configuration says to it.
    routing.no_route,
    routing.no_cluster,
    routing.no_address,
    routing.no_healthy_upstream,
    routing.not_connected,
    routing.upstream_reset,
    routing.client_gone,
    # What only curl can tell.
    client.no_address,
    client.certificate,
    client.handshake,
    client.no_answer,
    # What is left.
    sidecar.no_line,
    configuration.fault,
    routing.hosts_own_answer,
)
"""The causes that are told apart, surest first."""


def cause(verdict: Verdict) -> str:
    """Return the first sentence of the table that fits."""
    if any(difference.hop == "control" for difference in verdict.differences):
        return "The block was seen, but the control failed too: it may be an outage. Look at the control first."
    for rule in CAUSES:
        sentence = rule(verdict.expected, verdict.exchange, verdict.failure_context)
        if sentence:
            return sentence
    return "No known cause fits; the difference and Envoy's line above are all there is to go by."
