"""An API server that is away for a while costs time, not cases; a pod that went is told apart from it."""

import ssl
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import NewConnectionError, ProtocolError, SSLError

from pytest_istio_egress.cluster import pods
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.pods import CommandResult, GoneError, LostError, Pod, changed, run
from pytest_istio_egress.cluster.retry import retrying
from pytest_istio_egress.model.timeouts import Timeouts

REFUSED = NewConnectionError(cast(Any, None), "refused")
RESET = ProtocolError("Connection aborted.")
POD = Pod(namespace="here", name="sleep-1", uid="1", address="10.0.0.1", injected=True, container="curl")
API = cast(Api, SimpleNamespace(timeouts=Timeouts(api=5.0), new_client=lambda: None))


def answers(*outcomes: object) -> Callable[[], object]:
    """Return a call that ends so, one after the other; one more is a mistake of the test."""
    left = list(outcomes)

    def call() -> object:
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return call


def status(code: int) -> SimpleNamespace:
    return SimpleNamespace(status=code)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE", "POST"])
def test_a_refused_connection_is_tried_again(method: str) -> None:
    assert retrying(method, 5.0)(answers(REFUSED, REFUSED, status(200))) == status(200)


def through_tls(error: ssl.SSLError) -> ApiException:
    """Return what the kubernetes package raises where TLS failed."""
    try:
        try:
            raise SSLError(error)
        except SSLError:
            raise ApiException(status=0, reason="SSLError")  # noqa: B904  # as it does: the cause is the context alone
    except ApiException as found:
        return found


@pytest.mark.parametrize("away", [RESET, status(503), status(429), through_tls(ssl.SSLEOFError(8, "EOF"))])
def test_a_lost_request_is_sent_again_where_it_may_arrive_twice(away: object) -> None:
    assert retrying("PATCH", 5.0)(answers(away, status(200))) == status(200)


def test_a_certificate_that_is_not_trusted_is_no_server_that_is_away() -> None:
    with pytest.raises(ApiException):
        retrying("GET", 5.0)(answers(through_tls(ssl.SSLCertVerificationError("self-signed"))))


def test_what_may_not_arrive_twice_is_not_sent_again() -> None:
    with pytest.raises(ProtocolError):
        retrying("POST", 5.0)(answers(RESET))


def test_a_refusal_is_an_answer() -> None:
    assert retrying("GET", 5.0)(answers(status(403))) == status(403)


def test_patience_ends_with_what_was_seen_last() -> None:
    with pytest.raises(NewConnectionError):
        retrying("GET", 0.0)(answers(REFUSED))
    assert retrying("GET", 0.0)(answers(status(503))) == status(503)


def test_a_command_whose_connection_was_lost_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = CommandResult(stdout="all", stderr="", exit=0)
    calls = answers(LostError("lost"), ran)
    monkeypatch.setattr(pods, "_run_once", lambda *_: calls())
    assert run(API, POD, ["curl"]) == ran


@pytest.mark.parametrize("error", [GoneError("gone"), ClusterError("no such container")])
def test_a_command_that_cannot_run_is_not_run_again(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    calls = answers(error)
    monkeypatch.setattr(pods, "_run_once", lambda *_: calls())
    with pytest.raises(type(error)):
        run(API, POD, ["curl"])


@pytest.mark.parametrize(
    ("told", "meaning"),
    [
        ("Handshake status 404 Not Found -+-+- {} -+-+- b'pods \"sleep-1\" not found'", GoneError),
        ("Handshake status 503 Service Unavailable -+-+- {} -+-+- b''", LostError),
        ("[Errno 111] Connection refused", LostError),
    ],
)
def test_why_a_command_cannot_be_started(
    monkeypatch: pytest.MonkeyPatch, told: str, meaning: type[ClusterError]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ApiException(status=0, reason=told)

    monkeypatch.setattr(pods, "stream", refuse)
    with pytest.raises(meaning, match="sleep-1"):
        pods._connected(API, POD, ["curl"], "curl", 1.0)


def test_one_that_is_refused_is_neither_lost_nor_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ApiException(status=0, reason="Handshake status 403 Forbidden -+-+- {} -+-+- b''")

    monkeypatch.setattr(pods, "stream", refuse)
    with pytest.raises(ClusterError) as refused:
        pods._connected(API, POD, ["curl"], "curl", 1.0)
    assert type(refused.value) is ClusterError


def test_pods_that_are_not_what_they_were_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Pod("here", "second-1", "2", "10.0.0.2", injected=False, container="nginx")
    now = [Pod("here", "second-1", "2", "10.0.0.2", injected=False, container="nginx", restarts=1)]
    monkeypatch.setattr(pods, "ready_pods", lambda *_: now)
    gone, anew = changed(API, [POD, other])
    assert "sleep-1" in gone
    assert "second-1" in anew
    assert changed(API, now) == []
