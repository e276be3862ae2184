"""Retries requests while the API server is unavailable: its restart delays a run, but fails no test."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.client.rest import RESTClientObject
from tenacity import RetryCallState, Retrying, retry_if_exception, retry_if_result, stop_after_delay, wait_exponential
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProtocolError, ReadTimeoutError, SSLError
from urllib3.util.ssl_ import create_urllib3_context

BUSY = frozenset({429, 502, 503, 504})
"""Statuses of a server that is starting, overloaded, or unavailable behind its load balancer."""
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE"})
"""Methods whose requests may arrive twice; every patch that we send states the whole new value."""
REQUEST_TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and between two parts of a response, unless the caller passes other ones."""
_PAUSE = wait_exponential(multiplier=0.1, max=1.0)


class RetryingClient(client.ApiClient):  # type: ignore[misc]  # the kubernetes package is untyped
    """A client that retries its requests for up to `patience` seconds."""

    def __init__(self, configuration: client.Configuration, patience: float) -> None:
        super().__init__(configuration)
        self.rest_client = _RetryingRest(configuration, patience)


class _RetryingRest(RESTClientObject):  # type: ignore[misc]  # the kubernetes package is untyped
    def __init__(self, configuration: client.Configuration, patience: float) -> None:
        super().__init__(configuration)
        self.patience = patience
        context = create_urllib3_context()
        if configuration.verify_ssl and context.verify_flags & ssl.VERIFY_X509_STRICT:
            verify_as_kubectl(context, self.pool_manager.connection_pool_kw)

    def request(self, method: str, url: str, *arguments: Any, _request_timeout: Any = None, **more: Any) -> Any:
        """Send a request, and retry it where that is safe."""
        return retrying(method, self.patience)(
            super().request, method, url, *arguments, _request_timeout=_request_timeout or REQUEST_TIMEOUT, **more
        )


def verify_as_kubectl(context: ssl.SSLContext, pool: dict[str, Any]) -> None:
    """Let a pool's connections use a context that verifies chain, name and dates, without stricter checks.

    Those of Python 3.13 and later refuse the certificate authorities of many clusters, which lack key identifiers
    (RFC 5280). The certificates are loaded once and taken out of the pool's arguments: urllib3 would load them for each
    connection, while other threads use the context, which ends the process.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_mode = ssl.CERT_REQUIRED
    authorities, data = pool.pop("ca_certs", None), pool.pop("ca_cert_data", None)
    if authorities or data:
        context.load_verify_locations(cafile=authorities, cadata=data)
    else:
        context.load_default_certs()
    certificate, key = pool.pop("cert_file", None), pool.pop("key_file", None)
    if certificate:
        context.load_cert_chain(certificate, key)
    pool["ssl_context"] = context


def retrying(method: str, patience: float) -> Retrying:
    """Return a retry of a request: if the connection was refused, or was lost and the method is repeatable."""
    again = _may_retry(method)
    return Retrying(
        stop=stop_after_delay(patience),
        wait=_PAUSE,
        retry=retry_if_exception(again) | retry_if_result(lambda response: again(response.status)),
        retry_error_callback=_last_outcome,
    )


def _may_retry(method: str) -> Callable[[object], bool]:
    def again(outcome: object) -> bool:
        if isinstance(outcome, NewConnectionError | ConnectTimeoutError):
            return True
        away = isinstance(outcome, ProtocolError | ReadTimeoutError) or outcome in BUSY or _cut_off(outcome)
        return away and method.upper() in REPEATABLE

    return again


def _cut_off(outcome: object) -> bool:
    """Whether a connection ended during TLS, as after a server was killed; not because of a certificate.

    The kubernetes package raises an ApiException without a status for it.
    """
    cause = outcome.__context__ if isinstance(outcome, ApiException) else outcome
    return isinstance(cause, SSLError) and isinstance(next(iter(cause.args), None), ssl.SSLEOFError)


def _last_outcome(state: RetryCallState) -> Any:
    assert state.outcome is not None, "tenacity calls this after a try"
    return state.outcome.result()
