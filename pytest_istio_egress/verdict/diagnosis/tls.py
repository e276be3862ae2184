"""Causes in TLS that an Envoy originates: Secrets, certificates, names, and a peer that does not use TLS."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_istio_egress.verdict.analysis.configuration import Configuration
from pytest_istio_egress.verdict.analysis.destinations import applied_rules, why_no_tls
from pytest_istio_egress.verdict.analysis.documents import Document, full_name, selector_of, spec_of
from pytest_istio_egress.verdict.analysis.hosts import is_outside
from pytest_istio_egress.verdict.analysis.tls_policies import policy_of, rejected, why_no_policy
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure, LoggedHop
from pytest_istio_egress.verdict.diagnosis.rule import OUTCOME, ROUTED, Cause, as_sentence, cause, fields, joined
from pytest_istio_egress.verdict.diagnosis.tls_setter import port_of, tls_setter
from pytest_istio_egress.verdict.failure_context import SIDECAR
from pytest_istio_egress.verdict.proxy_path.origin import origin_of
from pytest_istio_egress.verdict.proxy_path.path import originates_again
from pytest_istio_egress.verdict.proxy_path.upstream import OriginatedTls, originated_tls


def _tls(hop: LoggedHop) -> OriginatedTls | None:
    return originated_tls(hop.path.cluster) if hop.path else None


@cause("Secret of a credentialName missing", explains=OUTCOME, needs=(Evidence.HOP_LINE, Evidence.HOP_PATH))
def secret_missing(failure: Failure) -> str | None:
    """The proxy waits for a secret: it does not use the cluster yet, or has it without a certificate (UF).

    Until the cluster is used it does not exist (NC), or an older one is used: without TLS, or with an older secret.
    """
    for hop in failure.hops:
        if not hop.path:
            continue
        without = "secret is not supplied" in hop.failure.lower()
        # Where the proxy was asked after its 15 s of waiting, only the line tells that the cluster was not there (NC).
        kept_back = bool(hop.path.dump.warming_clusters.keys() & set(hop.path.clusters)) or "NC" in hop.flags
        awaited = _awaited(hop)
        if not without and not (kept_back and awaited):
            continue
        cluster = hop.line.cluster if hop.line.cluster != "-" else hop.path.cluster_name
        if refused := _refused_policy(failure, hop, cluster):
            return f"The {hop.name} has no authorities for {cluster}: {refused}. Check validation.caCertificateRefs."
        named = f" ({', '.join(awaited)})" if awaited else ""
        return joined(
            f"The {hop.name} has no certificate for {cluster}: its credentialName provided none{named}.",
            as_sentence(why) if (why := _why_no_secret(failure, hop, awaited)) else "",
            "Check that the Secret is in the namespace of that proxy, and that its service account may list Secrets.",
        )
    return None


def _refused_policy(failure: Failure, hop: LoggedHop, cluster: str) -> str:
    """Return the BackendTLSPolicy of a cluster that istiod does not accept, with its reason; else empty."""
    dump = hop.path.dump if hop.path else None
    made = origin_of(dump.warming_clusters.get(cluster) or dump.clusters.get(cluster)) if dump else None
    policy = policy_of(failure.configuration, made, port_of(cluster))
    reason = rejected(policy) if policy else ""
    return f"{full_name(policy)} is not accepted ({reason})" if policy and reason else ""


def _awaited(hop: LoggedHop) -> list[str]:
    """Return the Secrets that the proxy requested and did not receive, and its cluster uses (where that is known)."""
    if hop.path is None:
        return []
    dump = hop.path.dump
    tls = originated_tls(dump.warming_clusters.get(hop.path.cluster_name) or hop.path.cluster)
    wanted = set(tls.secrets) if tls else None
    return sorted(name for name in dump.awaited_secrets if wanted is None or name in wanted)


def _why_no_secret(failure: Failure, hop: LoggedHop, awaited: Sequence[str]) -> str:
    """Return that a Secret does not exist where this proxy reads it: in the namespace of its own pod."""
    workload = failure.workload(hop.name)
    names = failure.configuration.secrets.get(workload.namespace) if workload else None
    if workload is None or names is None:
        return ""
    for each in awaited:
        name = each.removeprefix("kubernetes://")
        candidates = {name, name.removesuffix("-cacert")}
        if not candidates & names:
            shown = name.removesuffix("-cacert")
            elsewhere = _places_of(failure.configuration, candidates)
            hint = f": there is one in {', '.join(elsewhere)}" if elsewhere else ""
            where = f"{workload.namespace}{hint}"
            return f"{tls_setter(failure, hop)} names the Secret {shown}, which does not exist in {where}"
    return ""


def _places_of(configuration: Configuration, names: set[str]) -> list[str]:
    """Return the namespaces that have a Secret of one of these names, among those that were read."""
    return sorted(place for place, known in configuration.secrets.items() if known and names & known)


def _transport_failure(name: str, phrases: tuple[str, ...], text: str, *, unless: tuple[str, ...] = ()) -> Cause:
    """Return a cause that fits where Envoy's upstream transport failure has one of the phrases, and none of `unless`.

    The text may name {hop}, {cluster}, {upstream}, {names}, and {setter} with its fields, {setter.mode} for one.
    """

    def sentence(failure: Failure) -> str | None:
        for hop in failure.hops:
            if any(phrase in hop.failure for phrase in phrases) and not any(each in hop.failure for each in unless):
                tls = _tls(hop)
                names = ", ".join(tls.verified_names) if tls and tls.verified_names else ""
                return text.format(
                    hop=hop.name,
                    cluster=hop.line.cluster,
                    upstream=hop.line.upstream,
                    setter=tls_setter(failure, hop),
                    names=f" ({names})" if names else "",
                )
        return None

    return Cause(name, OUTCOME, (Evidence.TRANSPORT_FAILURE,), sentence)


_NAMES = ("SAN matcher", "SAN list")
_LISTS = ("revoked", "CRL")
_EXPIRED = ("has expired", "not yet valid")
_AUTHORITIES = ("issuer certificate", "self signed certificate", "the first certificate", "signature failure")
"""Details that Envoy adds to CERTIFICATE_VERIFY_FAILED since 1.37; before, the reason is always the bare code."""


@cause(
    "ISTIO_MUTUAL to a host outside the mesh",
    explains=OUTCOME,
    needs=(Evidence.TRANSPORT_FAILURE, Evidence.HOP_PATH, Evidence.SERVICE_ENTRIES),
)
def mesh_tls_outside(failure: Failure) -> str | None:
    """The handshake fails, the cluster originates TLS with the workload's own certificate, and is for another host."""
    for hop in failure.hops:
        tls, outside = _tls(hop), _outside(failure, hop)
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
    return is_outside(failure.configuration, hop.line.cluster.split("|")[-1])


@cause(
    "no authority for a host with a private one",
    explains=OUTCOME,
    needs=(Evidence.TRANSPORT_FAILURE, Evidence.HOP_PATH),
)
def no_authority(failure: Failure) -> str | None:
    """The cluster verifies with the authorities of the proxy's image, and the host's certificate is of another."""
    for hop in failure.hops:
        tls = _tls(hop)
        unknown = any(each in hop.failure for each in _AUTHORITIES) and not any(
            each in hop.failure for each in (*_NAMES, *_LISTS, *_EXPIRED)
        )
        if tls is None or not tls.by_system_authorities or not unknown:
            continue
        setter = tls_setter(failure, hop)
        return (
            f"The {hop.name} does not trust the host's certificate (CERTIFICATE_VERIFY_FAILED): {setter} names no "
            f"authority for {hop.line.cluster}, so those of the proxy's image are used, and another one signed it. "
            f"Check {setter.authority}: a private authority has to be named."
        )
    return None


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


other_name = _transport_failure(
    "certificate for another name",
    _NAMES,
    "The host's certificate is for another name than {cluster} expects{names} (CERTIFICATE_VERIFY_FAILED). Check "
    "{setter.names} of {setter}.",
)
revoked = _transport_failure(
    "certificate revoked",
    _LISTS,
    "The host's certificate is revoked by the list (ca.crl) that {cluster} uses. Check the Secret of the "
    "credentialName of {setter}.",
)
expired = _transport_failure(
    "certificate expired",
    _EXPIRED,
    "The host's certificate has expired or is not yet valid (CERTIFICATE_VERIFY_FAILED). Check its dates, and the "
    "clock of the {hop}'s node.",
)
other_authority = _transport_failure(
    "certificate of another authority",
    _AUTHORITIES,
    "The {hop} does not trust the host's certificate (CERTIFICATE_VERIFY_FAILED): another authority signed it than "
    "the one configured for {cluster}. Check {setter.authority} of {setter}.",
    unless=(*_NAMES, *_LISTS, *_EXPIRED),
)
not_verified = _transport_failure(
    "certificate not accepted, for a reason that Envoy does not log",
    ("CERTIFICATE VERIFY FAILED",),
    "The {hop} does not accept the host's certificate for {cluster} (CERTIFICATE_VERIFY_FAILED), and its log does not "
    "say why. Check the authority that signed it ({setter.authority} of {setter}), its names "
    "({setter.names}), its dates, and a revocation list (ca.crl).",
    unless=(*_NAMES, *_LISTS, *_EXPIRED, *_AUTHORITIES),
)
not_tls = _transport_failure(
    "TLS to a host that does not use it",
    ("WRONG VERSION NUMBER",),
    "The {hop} uses TLS to {upstream}, which does not use it (WRONG_VERSION_NUMBER). Check {setter.mode} of {setter}, "
    "and targetPort of the ServiceEntry.",
)
client_certificate_rejected = _transport_failure(
    "client certificate rejected in the handshake",
    ("CERTIFICATE UNKNOWN", "UNKNOWN CA", "BAD CERTIFICATE", "CERTIFICATE REQUIRED", "CERTIFICATE EXPIRED"),
    "The host {upstream} rejected the client certificate, or its absence, in the handshake with the {hop}. Check "
    "{setter.mode} of {setter}, and the Secret of its credentialName.",
)
handshake_failed = _transport_failure(
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
    if hop is None or hop.path is None or hop.path.cluster is None or _tls(hop) or not _cleartext_answer(failure):
        return None
    if failure.gateway_line is not None:
        return None
    host = hop.line.cluster.split("|")[-1]
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
    if not _cleartext_answer(failure) or last.path is None or last.path.cluster is None or _tls(last) is not None:
        return None
    workload, parts = failure.workload(last.name), last.line.cluster.split("|")
    why = ""
    if workload is not None and (port := port_of(last.line.cluster)):
        why = why_no_policy(failure.configuration, parts[3], port)
        why = why or why_no_tls(failure.configuration, parts[3], port, workload)
    return joined(
        f"The host expects TLS on that port, and the cluster {last.line.cluster} of the {last.name} originates none.",
        as_sentence(why) if why else "",
        "Check that a DestinationRule (tls.mode SIMPLE or MUTUAL) or a BackendTLSPolicy is for this host and port.",
    )


def _error_page(name: str, phrase: str, text: str) -> Cause:
    """Return a cause that fits where the host's answer is an error page (nginx's words) about a client certificate."""

    def sentence(failure: Failure) -> str | None:
        curl = failure.curl
        if curl.status != 400 or phrase not in curl.body:
            return None
        return None if failure.expected.body and failure.expected.body in curl.body else text

    return Cause(name, OUTCOME, (Evidence.STATUS, Evidence.BODY), sentence)


client_certificate_missing = _error_page(
    "no client certificate for a host that requires mutual TLS",
    "No required SSL certificate was sent",
    "The host requires mutual TLS, and received no client certificate. Check that the DestinationRule sets tls.mode "
    "MUTUAL and a credentialName.",
)
client_certificate_refused = _error_page(
    "client certificate rejected by the host",
    "The SSL certificate error",
    "The host rejected the client certificate. Check which authority signed the certificate in the DestinationRule's "
    "credentialName.",
)


@cause(
    "another server name than the host's",
    explains=OUTCOME | fields("external server", "server-name", "that answered"),
    needs=(Evidence.HOP_LINE, Evidence.HOP_PATH),
)
def other_server_name(failure: Failure) -> str | None:
    """The last Envoy's cluster sends a fixed server name, and the server saw that one, or refused it."""
    last = failure.hops[0]
    tls = _tls(last)
    wanted = failure.expected.server_saw.get("server-name")
    if tls is None or not tls.sni or wanted in (None, tls.sni):
        return None
    if failure.exchange.server_saw("server-name") != tls.sni:
        return None
    setter = tls_setter(failure, last)
    return (
        f"The {last.name} sends the server name {tls.sni} for {last.line.cluster} ({setter} sets it), and {wanted} is "
        f"expected. Check {setter.server_name}."
    )
