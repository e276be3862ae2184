"""Causes that only curl's result shows: no address, an untrusted certificate, a failed handshake, no answer."""

from __future__ import annotations

from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.verdict.verdict import Exchange


def no_address(expected: Outcome, exchange: Exchange, _: FailureContext) -> str | None:
    """DNS returned no address to the client."""
    if exchange.curl.exit != 6 or 6 in expected.exits:
        return None
    return (
        "The client got no address for the host from DNS. Check whether the client's sidecar captures DNS "
        "(ISTIO_META_DNS_CAPTURE), and whether the ServiceEntry has an address or was allocated one."
    )


def certificate(expected: Outcome, exchange: Exchange, _: FailureContext) -> str | None:
    """The client does not accept the host's certificate."""
    if exchange.curl.exit != 60 or 60 in expected.exits:
        return None
    cluster = f" through {exchange.sidecar.cluster}" if exchange.sidecar else ""
    return (
        f"The client reached a host{cluster} whose certificate it does not accept: {exchange.curl.error}. Check which "
        "ServiceEntry takes that port: one with protocol TCP takes every connection."
    )


def handshake(expected: Outcome, exchange: Exchange, _: FailureContext) -> str | None:
    """The TLS handshake between client and host failed."""
    if exchange.curl.exit != 35 or 35 in expected.exits:
        return None
    cluster = f", which the sidecar sent to {exchange.sidecar.cluster}" if exchange.sidecar else ""
    return (
        f"The TLS handshake failed: no filter chain or host accepted the server name of the request{cluster}. Check "
        "sniHosts, and the hosts of Gateway and ServiceEntry."
    )


def no_answer(expected: Outcome, exchange: Exchange, _: FailureContext) -> str | None:
    """The connection was refused, or no answer came in time."""
    curl = exchange.curl
    if curl.exit in expected.exits or curl.exit not in (7, 28):
        return None
    event = "connection was refused" if curl.exit == 7 else "request timed out"
    address = exchange.sidecar.upstream if exchange.sidecar else curl.remote_address or "the host"
    return (
        f"The client's {event} on the way to {address} ({curl.error}). Check network policies, and whether the host "
        "listens on that port."
    )
