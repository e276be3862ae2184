"""Causes in TLS that an Envoy originates, or does not: for whom, with which server name, and to what."""

from __future__ import annotations

from pytest_istio_egress.model.cluster_name import ClusterName, host_of
from pytest_istio_egress.verdict.analysis.configuration import Configuration
from pytest_istio_egress.verdict.analysis.destinations import applied_rules, why_no_tls
from pytest_istio_egress.verdict.analysis.documents import Document, full_name, selector_of, spec_of
from pytest_istio_egress.verdict.analysis.hosts import is_outside
from pytest_istio_egress.verdict.analysis.tls_policies import why_no_policy
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure, LoggedHop
from pytest_istio_egress.verdict.diagnosis.rule import OUTCOME, ROUTED, as_sentence, cause, fields, joined
from pytest_istio_egress.verdict.diagnosis.tls_setter import tls_of, tls_setter
from pytest_istio_egress.verdict.diagnosis.transport_failures import transport_failure
from pytest_istio_egress.verdict.failure_context import SIDECAR
from pytest_istio_egress.verdict.proxy_path.path import originates_again


@cause(
    "ISTIO_MUTUAL to a host outside the mesh",
    explains=OUTCOME,
    needs=(Evidence.TRANSPORT_FAILURE, Evidence.HOP_PATH, Evidence.SERVICE_ENTRIES),
)
def mesh_tls_outside(failure: Failure) -> str | None:
    """The handshake fails, the cluster originates TLS with the workload's own certificate, and is for another host."""
    for hop in failure.hops:
        tls, outside = tls_of(hop), _outside(failure, hop)
        failed = "TLS error" in hop.failure and "WRONG VERSION NUMBER" not in hop.failure
        if tls is None or not tls.of_workload or not outside or not failed:
            continue
        return (
            f"The TLS handshake of the {hop.name} with {hop.line.upstream} failed for {hop.line.cluster}: "
            f"{tls_setter(failure, hop)} sets tls.mode ISTIO_MUTUAL, which only proxies of the mesh speak: it expects "
            "a certificate of the mesh's own authority, and shows one. Check that mode: SIMPLE or MUTUAL are for hosts "
            "outside the mesh."
        )
    return None


def _outside(failure: Failure, hop: LoggedHop) -> bool:
    """Whether a hop's cluster is for a host outside of the mesh."""
    return is_outside(failure.configuration, host_of(hop.line.cluster))


@cause(
    "TLS originated for a client that speaks TLS itself",
    explains=ROUTED,
    needs=(Evidence.CURL_EXIT, Evidence.SIDECAR_LINE, Evidence.SIDECAR_PATH),
)
def already_tls(failure: Failure) -> str | None:
    """The client's own TLS went into the TLS that an Envoy originates, and the handshake of the client failed."""
    if failure.curl.exit not in _NO_HANDSHAKE or failure.curl.exit in failure.expected.exits:
        return None
    hop = next((each for each in failure.hops if each.name == SIDECAR), None)
    if hop is None or hop.path is None or hop.failure or hop.flags or not originates_again(hop.path):
        return None
    setter = tls_setter(failure, hop)
    return (
        f"The client already speaks TLS, and the sidecar originates TLS around it for {hop.line.cluster} ({setter}), "
        f"so that the host finds TLS where it expects a request. Check {setter.mode}: such a resource is for clients "
        "that send plain text."
    )


_NO_HANDSHAKE = frozenset({35, 52, 56})
"""curl's exit codes where a TLS handshake failed, or the connection ended in it."""


not_tls = transport_failure(
    "TLS to a host that does not use it",
    ("WRONG VERSION NUMBER",),
    "The {hop} uses TLS to {upstream}, which does not use it (WRONG_VERSION_NUMBER). Check {setter.mode} of {setter}, "
    "and targetPort of the ServiceEntry.",
)
handshake_failed = transport_failure(
    "TLS handshake with the host failed",
    ("TLS error", "TLSV1 ALERT", "SSLV3 ALERT", "UNRECOGNIZED NAME", "HANDSHAKE FAILURE"),
    "The TLS handshake of the {hop} with {upstream} failed for {cluster}. Check {setter.server_name} and "
    "{setter.mode} of {setter}, and the TLS versions of the host.",
    unless=(
        "secret is not supplied",
        "Secret is not supplied",
        "CERTIFICATE VERIFY FAILED",
        "WRONG VERSION NUMBER",
        "CONNECTION REJECTED",
    ),
)


def _cleartext_answer(failure: Failure) -> bool:
    """Whether the host said that it got plain HTTP on a port for TLS (nginx, Go, Apache)."""
    body = failure.curl.body
    known = (
        "plain HTTP request was sent to HTTPS port",
        "Client sent an HTTP request to an HTTPS server",
        "speaking plain HTTP to an SSL-enabled server port",
    )
    documented = failure.expected.body and failure.expected.body in body
    return failure.curl.status == 400 and any(phrase in body for phrase in known) and not documented


def inert_credential(configuration: Configuration, host: str, namespace: str) -> Document | None:
    """Return the DestinationRule whose credentialName sidecars ignore, because it has no workloadSelector."""
    for rule in applied_rules(configuration, host, namespace):
        policy = spec_of(rule).get("trafficPolicy") or {}
        settings = [policy, *(policy.get("portLevelSettings") or [])]
        if any((each.get("tls") or {}).get("credentialName") for each in settings) and not selector_of(rule):
            return rule
    return None


@cause(
    "credentialName without workloadSelector at a sidecar",
    explains=OUTCOME,
    needs=(
        Evidence.SIDECAR_LINE,
        Evidence.BODY,
        Evidence.SIDECAR_PATH,
        Evidence.DESTINATION_RULES,
        Evidence.SERVICE_ENTRIES,
    ),
)
def credential_ignored(failure: Failure) -> str | None:
    """The host got plain HTTP, the sidecar's cluster has no TLS, and its DestinationRule would have set it."""
    hop = next((each for each in failure.hops if each.name == SIDECAR), None)
    if hop is None or hop.path is None or hop.path.cluster is None or tls_of(hop) or not _cleartext_answer(failure):
        return None
    if failure.gateway_line is not None:
        return None
    host = host_of(hop.line.cluster)
    rule = inert_credential(failure.configuration, host, failure.request.namespace)
    if rule is None:
        return None
    return (
        f"The host expects TLS on that port, and the sidecar sent the request in plain text: {full_name(rule)} "
        "sets TLS "
        "with a credentialName, which sidecars use only where the rule has a workloadSelector. Check the "
        "workloadSelector of the rule."
    )


@cause("no TLS origination", explains=OUTCOME, needs=(Evidence.HOP_LINE, Evidence.BODY, Evidence.HOP_PATH))
def plain_to_tls(failure: Failure) -> str | None:
    """The host got plain HTTP, and the last Envoy's cluster has no TLS."""
    last = failure.hops[0]
    if not _cleartext_answer(failure) or last.path is None or last.path.cluster is None or tls_of(last) is not None:
        return None
    workload, name = failure.workload(last.name), ClusterName.parse(last.line.cluster)
    why = ""
    if workload is not None and name is not None:
        why = why_no_policy(failure.configuration, name.host, name.port)
        why = why or why_no_tls(failure.configuration, name.host, name.port, workload)
    return joined(
        f"The host expects TLS on that port, and the cluster {last.line.cluster} of the {last.name} originates none.",
        as_sentence(why) if why else "",
        "Check that a DestinationRule (tls.mode SIMPLE or MUTUAL) or a BackendTLSPolicy is for this host and port.",
    )


@cause(
    "another server name than the host's",
    explains=OUTCOME | fields("external server", "server-name", "that answered"),
    needs=(Evidence.HOP_LINE, Evidence.HOP_PATH),
)
def other_server_name(failure: Failure) -> str | None:
    """The last Envoy's cluster sends a fixed server name, and the server saw that one, or refused it."""
    last = failure.hops[0]
    tls = tls_of(last)
    wanted = failure.expected.server_saw.get("server-name")
    if tls is None or not tls.sni or wanted in (None, tls.sni):
        return None
    if failure.exchange.server_saw("server-name") != tls.sni:
        return None
    setter = tls_setter(failure, last)
    return (
        f"The {last.name} sends the server name {tls.sni} for {last.line.cluster} ({setter} sets "
        f"{setter.server_name}), and {wanted} is expected. Check {setter.server_name}."
    )
