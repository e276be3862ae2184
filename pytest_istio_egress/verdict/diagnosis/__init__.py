"""From the evidence of one request to one sentence: why it differs from the expected outcome, and what to check.

A cause is stated only where the evidence that it declares is there, it explains a field that differs, and its own check
ties the two. Where none fits, the sentence says what is known and what was ruled out, and no more.
"""

from __future__ import annotations

from pytest_istio_egress.verdict.diagnosis import (
    ambient,
    authorization,
    certificates,
    client,
    client_proxy,
    configuration,
    extensions,
    flags,
    gateway,
    host,
    let_through,
    sidecar,
    timeouts,
    tls,
    unknown_host,
    unread_rules,
    upstream,
)
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.diagnosis.rule import Cause
from pytest_istio_egress.verdict.diagnosis.unexplained import NO_CAUSE, unexplained

CAUSES: tuple[Cause, ...] = (
    # Certain: the proxy is missing, or does not have what istiod sent.
    sidecar.not_injected,
    sidecar.not_ready,
    configuration.rejected,
    sidecar.excluded,
    sidecar.excluded_unanswered,
    sidecar.bypassed,
    sidecar.server_first,
    # An ambient mesh: the client is not captured, or its connection went another way.
    ambient.opted_out,
    ambient.namespace_not_ambient,
    ambient.not_redirected,
    ambient.policy_not_bound,
    ambient.no_dns_answer,
    ambient.address_of_no_entry,
    ambient.waypoint_not_bound,
    ambient.waypoint_none,
    ambient.no_waypoint,
    ambient.waypoint_used,
    ambient.other_waypoint,
    ambient.tunnel_failed,
    ambient.connection_failed,
    ambient.policy_at_other_layer,
    ambient.no_policy,
    ambient.route_not_attached,
    # An EnvoyFilter whose effect the line shows: before what that effect looks like.
    extensions.changes_outcome,
    extensions.changes_header,
    extensions.other_context,
    extensions.module_missing,
    # What got through that should have been blocked.
    configuration.two_sidecars,
    let_through.policy_allows,
    let_through.host_is_known,
    let_through.nothing_denied,
    let_through.policy_of_client,
    client_proxy.read_as_http,
    # The sidecar does not know the host, or another entry takes its port.
    unknown_host.passthrough,
    unknown_host.black_hole,
    unknown_host.block_all,
    unknown_host.port_taken,
    # Policies.
    authorization.denied,
    authorization.connection_denied,
    authorization.denied_by_destination,
    gateway.plain_server,
    # TLS: more particular than the flags UF and NC that it comes with.
    certificates.secret_missing,
    tls.mesh_tls_outside,
    tls.already_tls,
    certificates.other_name,
    certificates.revoked,
    certificates.expired,
    certificates.no_authority,
    certificates.other_authority,
    certificates.not_verified,
    tls.not_tls,
    certificates.client_certificate_rejected,
    tls.handshake_failed,
    tls.credential_ignored,
    tls.plain_to_tls,
    certificates.client_certificate_missing,
    certificates.client_certificate_refused,
    tls.other_server_name,
    # The egress gateway.
    gateway.bypassed,
    gateway.not_listening,
    gateway.reads_no_http,
    gateway.mutual_tls_missing,
    gateway.not_accepted,
    gateway.without_route,
    # Timeouts and faults that rules set.
    timeouts.per_try,
    timeouts.too_short,
    timeouts.too_long,
    timeouts.missing,
    unread_rules.http_rules,
    timeouts.idle_connection,
    timeouts.other_time,
    flags.fault_injected,
    flags.delay_injected,
    # Between an Envoy and the upstream, the most particular first.
    upstream.no_cluster,
    upstream.ejected,
    upstream.no_address,
    upstream.no_endpoint,
    upstream.not_connected,
    upstream.no_answer_to_connections,
    upstream.proxy_protocol,
    upstream.http2_not_spoken,
    upstream.reused_connection,
    upstream.upstream_reset,
    upstream.overflow,
    flags.no_route,
    flags.client_disconnected,
    flags.connection_ended,
    flags.not_authorized,
    *flags.PLAIN_FLAGS,
    # Only curl's result shows these.
    client_proxy.no_tunnel,
    client_proxy.answered,
    client.no_address,
    client.unknown_authority,
    client.other_host,
    client.certificate,
    client.handshake,
    # The host, and what rules make of the request to it.
    host.redirect_loop,
    host.rewritten_authority,
    host.changed_authority,
    host.path_rewritten,
    host.authority_of_other_host,
    host.answered_by_rule,
    host.routed_by_rule,
    host.answered,
    # The rest.
    sidecar.no_line,
)
"""The causes that are diagnosed, the most certain one first."""


CONTROL_FAILED = (
    "The request was blocked as expected, but no control passed, so the block may be an outage. Check the control "
    "first."
)
"""The cause where a block was seen, and no control passed beside it."""
CLAIMS_NOTHING = (NO_CAUSE, CONTROL_FAILED)
"""Parts of the sentences that claim nothing of the mesh, or only what the run itself has seen."""


def cause(failure: Failure) -> str:
    """Return the sentence of the first cause in the table that fits, with the run's own names."""
    return next((text for each in CAUSES if (text := each.of(failure))), "") or unexplained(failure)
