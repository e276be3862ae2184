"""Causes in TLS that an Envoy originates: Secrets, certificates, names, and a peer that does not use TLS."""

from __future__ import annotations

from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.verdict.diagnosis.rules import Cause, fault_or_check, logged_hops, sentence
from pytest_istio_egress.verdict.verdict import Exchange


def secret_missing(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """A credentialName leads to no Secret: Envoy keeps the cluster back (NC), later has it without (UF)."""
    fault = context.fault("secret")
    for name, hop, line in logged_hops(expected, exchange):
        if isinstance(hop.flags, str) and line.has_flag(hop.flags):
            continue
        without = "secret is not supplied" in (line.failure or "").replace("_", " ").lower()
        # Until the cluster exists (15 s), another may be in use: one without TLS, or with the secret it had before.
        kept_back = bool(fault) and expected.status != 503
        if without or kept_back:
            advice = fault_or_check(
                fault,
                "Check that the Secret is in the proxy's namespace, and that the proxy's service account may list it.",
            )
            cluster = "the host's cluster" if line.cluster in ("-", None) else line.cluster
            return f"The {name} has no certificate for {cluster}: its credentialName provided none. {advice}"
    return None


def _transport_failure(phrases: tuple[str, ...], text: str, *, unless: tuple[str, ...] = ()) -> Cause:
    """Return a cause that fits where Envoy's upstream transport failure has one of the phrases, and none of `unless`.

    The text may name {hop}, {cluster} and {upstream}.
    """

    def rule(expected: Outcome, exchange: Exchange, _: FailureContext) -> str | None:
        for name, hop, line in logged_hops(expected, exchange):
            if line.failure is None or (hop.failure and hop.failure in line.failure):
                continue
            failure = line.failure.replace("_", " ")  # the access log has no spaces there
            if any(phrase in failure for phrase in phrases) and not any(phrase in failure for phrase in unless):
                return text.format(
                    hop=name, cluster=line.cluster or "the host's cluster", upstream=line.upstream or "the upstream"
                )
        return None

    return rule


_NAMES = ("SAN matcher", "SAN list")
_LISTS = ("revoked", "CRL")
_EXPIRED = ("has expired", "not yet valid")
_AUTHORITIES = ("issuer certificate", "self signed certificate", "the first certificate", "signature failure")
"""Details that Envoy adds to CERTIFICATE_VERIFY_FAILED since 1.37; before, the reason is always the bare code."""

other_name = _transport_failure(
    _NAMES,
    "The host's certificate is for another name than {cluster} expects (CERTIFICATE_VERIFY_FAILED). Check tls.sni and "
    "tls.subjectAltNames of the DestinationRule.",
)
revoked = _transport_failure(
    _LISTS,
    "The host's certificate is revoked by the list (ca.crl) that {cluster} uses. Check the Secret of its "
    "credentialName.",
)
expired = _transport_failure(
    _EXPIRED,
    "The host's certificate has expired or is not yet valid (CERTIFICATE_VERIFY_FAILED). Check its dates, and the "
    "clock of the {hop}'s node.",
)
other_authority = _transport_failure(
    _AUTHORITIES,
    "The {hop} does not trust the host's certificate (CERTIFICATE_VERIFY_FAILED): another authority signed it than "
    "the one configured for {cluster}. Check tls.caCertificates or tls.credentialName of the DestinationRule.",
    unless=(*_NAMES, *_LISTS, *_EXPIRED),
)
not_verified = _transport_failure(
    ("CERTIFICATE VERIFY FAILED",),
    "The {hop} does not accept the host's certificate for {cluster} (CERTIFICATE_VERIFY_FAILED), and its log does not "
    "say why. Check the authority that signed it (tls.caCertificates or tls.credentialName of the DestinationRule), "
    "its names (tls.sni, tls.subjectAltNames), its dates, and a revocation list (ca.crl).",
    unless=(*_NAMES, *_LISTS, *_EXPIRED, *_AUTHORITIES),
)
not_tls = _transport_failure(
    ("WRONG VERSION NUMBER",),
    "The {hop} uses TLS to {upstream}, which does not use it (WRONG_VERSION_NUMBER). Check tls.mode of the "
    "DestinationRule, and targetPort of the ServiceEntry.",
)


def _error_page(phrase: str, known: str, check: str) -> Cause:
    """Return a cause that fits where the host's answer is an error page (nginx's words) about TLS."""

    def rule(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
        curl = exchange.curl
        if curl.status != 400 or phrase not in curl.body or (expected.body and expected.body in curl.body):
            return None
        fault = context.fault("rule")
        return " ".join([known, *([sentence(fault)] if fault else []), check])

    return rule


plain_to_tls = _error_page(
    "plain HTTP request was sent to HTTPS port",
    "The host expects TLS on that port, and no Envoy originated it.",
    "Check that a DestinationRule sets tls.mode SIMPLE or MUTUAL for this host and port.",
)
client_certificate_missing = _error_page(
    "No required SSL certificate was sent",
    "The host requires mutual TLS, and received no client certificate.",
    "Check that the DestinationRule sets tls.mode MUTUAL and a credentialName.",
)
client_certificate_refused = _error_page(
    "The SSL certificate error",
    "The host rejected the client certificate.",
    "Check which authority signed the certificate in the DestinationRule's credentialName.",
)
