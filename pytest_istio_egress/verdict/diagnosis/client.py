"""Causes that only curl can tell: no address, a certificate it does not trust, a handshake that ended, silence."""

from __future__ import annotations

from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.verdict.verdict import Exchange


def no_address(expected: Outcome, seen: Exchange, _: FailureContext) -> str | None:
    """DNS did not answer the client."""
    if seen.curl.exit != 6 or 6 in expected.exits:
        return None
    return (
        "The client got no address for the host: DNS has no answer. Look whether the client's sidecar captures DNS "
        "(ISTIO_META_DNS_CAPTURE), and whether the ServiceEntry has, or was allocated, an address."
    )


def certificate(expected: Outcome, seen: Exchange, _: FailureContext) -> str | None:
    """The client does not accept who answered."""
    if seen.curl.exit != 60 or 60 in expected.exits:
        return None
    cluster = f" by {seen.sidecar.cluster}" if seen.sidecar else ""
    return (
        f"The client reached a host{cluster} whose certificate is not for the name it asked for: {seen.curl.error}. "
        "Look at which entry takes that port: one of protocol TCP takes every connection."
    )


def handshake(expected: Outcome, seen: Exchange, _: FailureContext) -> str | None:
    """TLS between client and host never came about."""
    if seen.curl.exit != 35 or 35 in expected.exits:
        return None
    whose = f", which the sidecar sent to {seen.sidecar.cluster}" if seen.sidecar else ""
    return (
        f"The TLS handshake ended early: no filter chain or host took the server name of the request{whose}. Look at "
        "sniHosts and at the hosts of Gateway and ServiceEntry."
    )


def no_answer(expected: Outcome, seen: Exchange, _: FailureContext) -> str | None:
    """Nobody answered in time, or nobody listens."""
    if seen.curl.exit in expected.exits or seen.curl.exit not in (7, 28):
        return None
    what = "refused the client's connection" if seen.curl.exit == 7 else "let the client wait until it gave up"
    where = seen.sidecar.upstream if seen.sidecar else seen.curl.remote_address or "the address"
    return (
        f"Somebody on the way to {where} {what} ({seen.curl.error}). Look at network policies and at the host's port."
    )
