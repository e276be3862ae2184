"""Requests are retried while the API server is unavailable, where that is safe."""

import ssl
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import NewConnectionError, ProtocolError, SSLError

from pytest_istio_egress.cluster.retry import retrying

REFUSED = NewConnectionError(cast(Any, None), "refused")
RESET = ProtocolError("Connection aborted.")


def outcomes_of(*outcomes: object) -> Callable[[], object]:
    """Return a function whose calls end with these outcomes, one after the other."""
    remaining = list(outcomes)

    def call() -> object:
        outcome = remaining.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return call


def status(code: int) -> SimpleNamespace:
    return SimpleNamespace(status=code)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE", "POST"])
def test_refused_connection_is_retried(method: str) -> None:
    assert retrying(method, 5.0)(outcomes_of(REFUSED, REFUSED, status(200))) == status(200)


def through_tls(error: ssl.SSLError) -> ApiException:
    """Return the error of the kubernetes package for a failed TLS connection."""
    try:
        try:
            raise SSLError(error)
        except SSLError:
            raise ApiException(status=0, reason="SSLError")  # noqa: B904  # as it does: the cause is only the context
    except ApiException as raised:
        return raised


@pytest.mark.parametrize("unavailable", [RESET, status(503), status(429), through_tls(ssl.SSLEOFError(8, "EOF"))])
def test_lost_request_of_a_repeatable_method_is_retried(unavailable: object) -> None:
    assert retrying("PATCH", 5.0)(outcomes_of(unavailable, status(200))) == status(200)


def test_untrusted_certificate_is_not_retried() -> None:
    with pytest.raises(ApiException):
        retrying("GET", 5.0)(outcomes_of(through_tls(ssl.SSLCertVerificationError("self-signed"))))


def test_lost_post_is_not_retried() -> None:
    with pytest.raises(ProtocolError):
        retrying("POST", 5.0)(outcomes_of(RESET))


def test_rejection_is_not_retried() -> None:
    assert retrying("GET", 5.0)(outcomes_of(status(403))) == status(403)


def test_retry_ends_with_the_last_outcome() -> None:
    with pytest.raises(NewConnectionError):
        retrying("GET", 0.0)(outcomes_of(REFUSED))
    assert retrying("GET", 0.0)(outcomes_of(status(503))) == status(503)
