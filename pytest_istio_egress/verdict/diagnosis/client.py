"""Causes that only curl's result shows: no address, an untrusted certificate, a failed handshake, no answer."""

from __future__ import annotations

from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.diagnosis.rule import RESULT, ROUTED, Cause, cause

NO_ADDRESS = frozenset({5, 6})
"""curl's exit codes where DNS has no address for the client's proxy, and for the host."""
_UNKNOWN_AUTHORITY = ("unable to get local issuer", "self-signed", "self signed", "unknown ca", "issuer certificate")
_OTHER_NAME = ("subject name", "no alternative certificate subject", "does not match")


@cause("no DNS answer at the client", explains=ROUTED, needs=(Evidence.CURL_EXIT,))
def no_address(failure: Failure) -> str | None:
    """DNS returned no address to the client."""
    if failure.curl.exit not in NO_ADDRESS - failure.expected.exits or failure.expected.ztunnel is not None:
        return None
    asked = f"its proxy {failure.request.host}" if failure.request.by_proxy else "the host"
    return (
        f"The client got no address for {asked} from DNS. Check whether the client's sidecar captures DNS "
        "(ISTIO_META_DNS_CAPTURE), and whether the ServiceEntry has an address or was allocated one."
    )


def _untrusted(name: str, phrases: tuple[str, ...], text: str) -> Cause:
    """Return a cause that fits where the client rejects the certificate, with one of the phrases in curl's message."""

    def sentence(failure: Failure) -> str | None:
        curl = failure.curl
        if curl.exit != 60 or 60 in failure.expected.exits:
            return None
        if not any(phrase in curl.error.lower() for phrase in phrases):
            return None
        cluster = f" through {failure.line.cluster}" if failure.line else ""
        return text.format(cluster=cluster, error=curl.error, host=failure.request.host)

    return Cause(name, RESULT, (Evidence.CURL_EXIT, Evidence.CURL_MESSAGE), sentence)


unknown_authority = _untrusted(
    "the client does not know the authority of a certificate",
    _UNKNOWN_AUTHORITY,
    "The client reached a host{cluster} whose certificate is signed by an authority that the client does not know "
    "({error}). Check which authorities the image with curl trusts: a private one has to be given (`ca=` "
    "of a rule of your own).",
)
other_host = _untrusted(
    "the client reached a host with a certificate for another name",
    _OTHER_NAME,
    "The client reached a host{cluster} whose certificate is for another name than {host} ({error}). Check that the "
    "connection leads to the right host.",
)


@cause("the certificate is not accepted by the client", explains=RESULT, needs=(Evidence.CURL_EXIT,))
def certificate(failure: Failure) -> str | None:
    """The client does not accept the host's certificate, for another reason."""
    curl = failure.curl
    if curl.exit != 60 or 60 in failure.expected.exits:
        return None
    cluster = f" through {failure.line.cluster}" if failure.line else ""
    return (
        f"The client reached a host{cluster} whose certificate it does not accept: {curl.error}. Check the certificate."
    )


@cause(
    "the host's TLS refused the client",
    explains=ROUTED,
    needs=(Evidence.CURL_EXIT, Evidence.CURL_MESSAGE, Evidence.CLUSTER),
)
def handshake(failure: Failure) -> str | None:
    """The handshake failed with an alert of TLS, which a host that was reached sent."""
    curl, last = failure.curl, failure.hops[0] if failure.hops else None
    if curl.exit != 35 or 35 in failure.expected.exits or last is None or last.flags or last.line.termination != "-":
        return None
    if "alert" not in curl.error.lower() or last.line.upstream == "-":
        return None
    return (
        f"The host {last.line.upstream} ({last.line.cluster}) ended the client's TLS handshake ({curl.error}). "
        "Check the "
        "TLS versions and server names that the host accepts."
    )
