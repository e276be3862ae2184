"""Retries requests while the API server is unavailable: its restart delays a run, but fails no test."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.client.rest import RESTClientObject
from tenacity import RetryCallState, Retrying, retry_if_exception, retry_if_result, stop_after_delay, wait_exponential
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProtocolError, ReadTimeoutError, SSLError
from urllib3.util.ssl_ import create_urllib3_context

from pytest_istio_egress.cluster.login import Login

BUSY = frozenset({429, 502, 503, 504})
"""Statuses of a server that is starting, overloaded, or unavailable behind its load balancer."""
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE"})
"""Methods whose requests may arrive twice; every patch that we send states the whole new value."""
REQUEST_TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and between two parts of a response, unless the caller passes other ones."""
_PAUSE = wait_exponential(multiplier=0.1, max=1.0)


class RetryingClient(client.ApiClient):  # type: ignore[misc]  # the kubernetes package is untyped
    """A client that retries its requests for up to `patience` seconds, and renews credentials that are rejected."""

    def __init__(self, login: Login, patience: float) -> None:
        super().__init__(login.configuration)
        self.rest_client = _RetryingRest(login, patience)


class _RetryingRest(RESTClientObject):  # type: ignore[misc]  # the kubernetes package is untyped
    def __init__(self, login: Login, patience: float) -> None:
        super().__init__(login.configuration)
        self.login = login
        self.patience = patience
        self._generation = login.generation
        self._set_up(self.pool_manager.connection_pool_kw)

    def request(self, method: str, url: str, *arguments: Any, _request_timeout: Any = None, **more: Any) -> Any:
        """Send a request, and retry it where that is safe; with other credentials if these are rejected."""
        self.login.renew_if_expired()
        generation = self.login.generation
        send = functools.partial(
            retrying(method, self.patience), super().request, method, url, *arguments,
            _request_timeout=_request_timeout or REQUEST_TIMEOUT,
        )  # fmt: skip
        self._use_credentials()
        response = _unless_rejected(send, more)
        if response is None and self.login.renew(generation):
            self._use_credentials()
            token = self.configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
            headers = {**(more.get("headers") or {}), **({"authorization": token} if token else {})}
            response = _unless_rejected(send, {**more, "headers": headers})
        if response is None:
            raise self.login.rejection()
        return response

    def _use_credentials(self) -> None:
        """Replace the connections of former credentials: a connection keeps its certificate."""
        if self._generation != self.login.generation:
            self._generation = self.login.generation
            renewed = RESTClientObject(self.configuration)
            self._set_up(renewed.pool_manager.connection_pool_kw)
            self.pool_manager = renewed.pool_manager

    def _set_up(self, pool: dict[str, Any]) -> None:
        context = create_urllib3_context()
        if self.configuration.verify_ssl and context.verify_flags & ssl.VERIFY_X509_STRICT:
            verify_as_kubectl(context, pool)


def _unless_rejected(send: Callable[..., Any], more: dict[str, Any]) -> Any:
    """Return the response of a request; None for 401, which newer Kubernetes clients return and older ones raise."""
    try:
        response = send(**more)
    except ApiException as error:
        if error.status == 401:
            return None
        raise
    return None if response.status == 401 else response


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
