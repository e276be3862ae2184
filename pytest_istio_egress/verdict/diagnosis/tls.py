"""Causes in TLS that an Envoy originates: secrets, certificates, names, and who speaks TLS to whom."""

from __future__ import annotations

from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.verdict.diagnosis.rules import Cause, because, hops
from pytest_istio_egress.verdict.verdict import Exchange


def secret_missing(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """A credentialName leads to no Secret: Envoy keeps the cluster back (NC), later has it without (UF)."""
    fault = context.fault("secret")
    for whose, hop, line in hops(expected, seen):
        if hop.flags in line.flags.split(","):
            continue
        without = "secret is not supplied" in line.failure.replace("_", " ").lower()
        # Until the cluster is there (15 s), another may be in use: one without TLS, or with the secret it had before.
        kept_back = bool(fault) and expected.status != 503
        if without or kept_back:
            look = because(
                fault,
                "Look whether the Secret lies in the proxy's namespace, and whether its service account may list it.",
            )
            cluster = "the cluster of the host" if line.cluster == "-" else line.cluster
            return f"The {whose} has no certificate for {cluster}: its credentialName brought none. {look}"
    return None


def _failure(words: tuple[str, ...], sentence: str, *, unless: tuple[str, ...] = ()) -> Cause:
    def rule(expected: Outcome, seen: Exchange, _: FailureContext) -> str | None:
        for whose, hop, line in hops(expected, seen):
            if hop.failure and hop.failure in line.failure:
                continue
            failure = line.failure.replace("_", " ")  # the access log has no spaces there
            if any(word in failure for word in words) and not any(word in failure for word in unless):
                return sentence.format(whose=whose, cluster=line.cluster, upstream=line.upstream)
        return None

    return rule


_NAMES = ("SAN matcher", "SAN list")
_LISTS = ("revoked", "CRL")
_EXPIRED = ("has expired", "not yet valid")

other_name = _failure(
    _NAMES,
    "The host's certificate is for another name than {cluster} asks for (CERTIFICATE_VERIFY_FAILED). Look at sni and "
    "subjectAltNames of the DestinationRule.",
)
revoked = _failure(
    _LISTS,
    "The host's certificate is revoked by the list (ca.crl) that {cluster} checks with. Look at the Secret of its "
    "credentialName.",
)
expired = _failure(
    _EXPIRED,
    "The host's certificate is not valid today (CERTIFICATE_VERIFY_FAILED). Look at its dates, and at the clock of the "
    "{whose}'s node.",
)
not_verified = _failure(
    ("CERTIFICATE VERIFY FAILED",),
    "The {whose} does not trust the host's certificate (CERTIFICATE_VERIFY_FAILED): another authority signed it than "
    "{cluster} names. Look at caCertificates or credentialName of the DestinationRule.",
    unless=(*_NAMES, *_LISTS, *_EXPIRED),
)
not_tls = _failure(
    ("WRONG VERSION NUMBER",),
    "The {whose} speaks TLS to {upstream}, which does not (WRONG_VERSION_NUMBER). Look at the DestinationRule's tls "
    "mode and at the ServiceEntry's targetPort.",
)


def _answered(word: str, sentence: str) -> Cause:
    """Build a rule on what web servers (nginx's words, which Envoy passes on) say of a TLS that they don't like."""

    def rule(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
        if seen.curl.status != 400 or word not in seen.curl.body or (expected.body and expected.body in seen.curl.body):
            return None
        fault = context.fault("rule")
        return sentence + (f" {because(fault, '')}" if fault else "")

    return rule


plain_to_tls = _answered(
    "plain HTTP request was sent to HTTPS port",
    "The host speaks TLS on that port, and no Envoy originated any: look for a DestinationRule with tls mode SIMPLE or "
    "MUTUAL for this host and port.",
)
client_certificate_missing = _answered(
    "No required SSL certificate was sent",
    "The host asks for mutual TLS, and was shown no client certificate: look at the DestinationRule, whose tls mode "
    "has to be MUTUAL, with a credentialName.",
)
client_certificate_refused = _answered(
    "The SSL certificate error",
    "The host does not accept the client certificate that it was shown: look at who signed the one in the "
    "DestinationRule's credentialName.",
)
