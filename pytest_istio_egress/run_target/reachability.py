"""Checks whether the cluster responds, within a deadline that holds even if a credential helper hangs."""

from __future__ import annotations

import shlex
import threading

from kubernetes import client
from kubernetes.client import VersionApi

from pytest_istio_egress.cluster.api import Api, reason
from pytest_istio_egress.cluster.api_proxy import UnsupportedProxyError, proxy_used
from pytest_istio_egress.cluster.credential_plugin import log_in_at_terminal
from pytest_istio_egress.cluster.login import Login
from pytest_istio_egress.cluster.retry import RetryingClient
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.run_target import Say, Target, TargetError
from pytest_istio_egress.settings.kubeconfig import credential_plugin

_PATIENCE = 5.0
"""Seconds until a line says that a credential plugin is waited for."""


def kubernetes_version(target: Target, say: Say = lambda _: None) -> str:
    """Return the version of Kubernetes; raises TargetError where the cluster does not respond in time."""
    _log_in(target, say)
    timeout = _timeout(target)
    versions: list[str] = []
    errors: list[Exception] = []
    proxies: list[str] = []

    def request() -> None:
        try:
            login = Api(target.kubeconfig, target.context).login
            proxies.append(proxy_used(login.configuration))
            versions.append(_request_version(target, login))
        except Exception as error:  # noqa: BLE001  # any error is raised by the waiting thread
            errors.append(error)

    # The client loads its many models on first use: this can take seconds, which must not count for the cluster.
    client.CoreV1Api(client.ApiClient(client.Configuration()))

    # A thread, because credential helpers and DNS have no timeout; a daemon, so that it does not outlive the run.
    thread = threading.Thread(target=request, name="request the version of the cluster", daemon=True)
    thread.start()
    thread.join(timeout)
    if versions:
        return versions[0]
    if errors and isinstance(errors[0].__cause__, UnsupportedProxyError):
        raise TargetError(f"{errors[0]}") from errors[0]
    why = reason(errors[0]) if errors else f"no response within {timeout:g} s"
    waiting = "" if errors or proxies else _waiting_plugin(target)
    way = "".join(f"; the connection goes through the proxy {proxy}" for proxy in proxies if proxy)
    options = ["--context", str(target.context), *(["--kubeconfig", str(target.kubeconfig)] * bool(target.kubeconfig))]
    raise TargetError(
        f"cannot reach the cluster of context {target.context!r}: {why}{waiting}{way} "
        f"(hint: kubectl {shlex.join(options)} version)"
    ) from (errors[0] if errors else None)


def _log_in(target: Target, say: Say) -> None:
    """Let a credential plugin ask the user, without a deadline; only here, before there are workers."""
    plugin = credential_plugin(target.kubeconfig, target.context)
    line = f"istio-egress: waiting for the credential plugin {plugin}, which may be waiting for you to log in"
    waiting = threading.Timer(_PATIENCE, say, [line])
    waiting.daemon = True
    waiting.start()
    try:
        log_in_at_terminal(target.kubeconfig, target.context)
    finally:
        waiting.cancel()


def _waiting_plugin(target: Target) -> str:
    """Return that the credential plugin may be waiting for the user, empty where the kubeconfig has none."""
    plugin = credential_plugin(target.kubeconfig, target.context)
    told = (
        f"; the credential plugin {plugin} may be waiting for you to log in: it has no terminal here, so "
        "log in with kubectl first"
    )
    return told if plugin else ""


def _timeout(target: Target) -> float:
    return max(Timeouts().answer, target.timeouts.answer)  # a factor below 1 is meant for the mesh


def _request_version(target: Target, login: Login) -> str:
    # A client of the same kind as the run's, which verifies as kubectl does, but without retries: a cluster that needs
    # them is not ready for a run.
    with RetryingClient(login, 0.0) as once:
        return str(VersionApi(once).get_code(_request_timeout=_scaled(target, 5, 8)).git_version)


def _scaled(target: Target, *seconds: float) -> tuple[float, ...]:
    return tuple(max(1.0, target.timeout_scale) * each for each in seconds)
