"""Causes in the certificates, authorities and Secrets of the TLS that an Envoy originates."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_istio_egress.model.cluster_name import port_of
from pytest_istio_egress.verdict.analysis.configuration import Configuration
from pytest_istio_egress.verdict.analysis.documents import full_name
from pytest_istio_egress.verdict.analysis.tls_policies import policy_of, rejected
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure, LoggedHop
from pytest_istio_egress.verdict.diagnosis.rule import OUTCOME, Cause, as_sentence, cause, joined
from pytest_istio_egress.verdict.diagnosis.tls_setter import tls_of, tls_setter
from pytest_istio_egress.verdict.diagnosis.transport_failures import transport_failure
from pytest_istio_egress.verdict.proxy_path.origin import origin_of
from pytest_istio_egress.verdict.proxy_path.upstream import awaited_secrets


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
        awaited = awaited_secrets(hop.path.dump, hop.path.cluster_name)
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
    reason = rejected(policy, made.target) if policy and made else ""
    return f"{full_name(policy)} is not accepted ({reason})" if policy and reason else ""


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


_NAMES = ("SAN matcher", "SAN list")
_LISTS = ("revoked", "CRL")
_EXPIRED = ("has expired", "not yet valid")
_AUTHORITIES = ("issuer certificate", "self signed certificate", "the first certificate", "signature failure")
"""Details that Envoy adds to CERTIFICATE_VERIFY_FAILED since 1.37; before, the reason is always the bare code."""


@cause(
    "no authority for a host with a private one",
    explains=OUTCOME,
    needs=(Evidence.TRANSPORT_FAILURE, Evidence.HOP_PATH),
)
def no_authority(failure: Failure) -> str | None:
    """The cluster verifies with the authorities of the proxy's image, and the host's certificate is of another."""
    for hop in failure.hops:
        tls = tls_of(hop)
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


other_name = transport_failure(
    "certificate for another name",
    _NAMES,
    "The host's certificate is for another name than {cluster} expects{names} (CERTIFICATE_VERIFY_FAILED). Check "
    "{setter.names} of {setter}.",
)
revoked = transport_failure(
    "certificate revoked",
    _LISTS,
    "The host's certificate is revoked by the list (ca.crl) that {cluster} uses. Check the Secret of the "
    "credentialName of {setter}.",
)
expired = transport_failure(
    "certificate expired",
    _EXPIRED,
    "The host's certificate has expired or is not yet valid (CERTIFICATE_VERIFY_FAILED). Check its dates, and the "
    "clock of the {hop}'s node.",
)
other_authority = transport_failure(
    "certificate of another authority",
    _AUTHORITIES,
    "The {hop} does not trust the host's certificate (CERTIFICATE_VERIFY_FAILED): another authority signed it than "
    "the one configured for {cluster}. Check {setter.authority} of {setter}.",
    unless=(*_NAMES, *_LISTS, *_EXPIRED),
)
not_verified = transport_failure(
    "certificate not accepted, for a reason that Envoy does not log",
    ("CERTIFICATE VERIFY FAILED",),
    "The {hop} does not accept the host's certificate for {cluster} (CERTIFICATE_VERIFY_FAILED), and its log does not "
    "say why. Check the authority that signed it ({setter.authority} of {setter}), its names "
    "({setter.names}), its dates, and a revocation list (ca.crl).",
    unless=(*_NAMES, *_LISTS, *_EXPIRED, *_AUTHORITIES),
)
client_certificate_rejected = transport_failure(
    "client certificate rejected in the handshake",
    ("CERTIFICATE UNKNOWN", "UNKNOWN CA", "BAD CERTIFICATE", "CERTIFICATE REQUIRED", "CERTIFICATE EXPIRED"),
    "The host {upstream} rejected the client certificate, or its absence, in the handshake with the {hop}. Check "
    "{setter.mode} of {setter}, and the Secret of its credentialName.",
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
