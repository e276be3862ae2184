"""Checks whether the cluster responds, within a deadline that holds even if a credential helper hangs."""

from __future__ import annotations

import threading

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, reason
from pytest_istio_egress.cluster.api_proxy import UnsupportedProxyError
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.run_target import Target, TargetError
from pytest_istio_egress.settings.kubeconfig import way_of


def kubernetes_version(target: Target) -> str:
    """Return the version of Kubernetes; raises TargetError where the cluster does not respond in time."""
    timeout = _timeout(target)
    versions: list[str] = []
    errors: list[Exception] = []

    def request() -> None:
        try:
            versions.append(_request_version(target))
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
    options = f"--context {target.context}" + (f" --kubeconfig {target.kubeconfig}" if target.kubeconfig else "")
    raise TargetError(
        f"cannot reach the cluster of context {target.context!r}: {why}{_way(target)} (hint: kubectl {options} version)"
    ) from (errors[0] if errors else None)


def _way(target: Target) -> str:
    """Return what of the kubeconfig may be the reason: a plugin that waits for the user, a proxy."""
    way = way_of(target.kubeconfig, target.context)
    plugin = (
        f"; the credential plugin {way.plugin} may be waiting for you to log in: what it prints is not shown here, so "
        "log in with kubectl first"
    )
    proxy = f"; the connection goes through the proxy {way.proxy}"
    return plugin * bool(way.plugin) + proxy * bool(way.proxy)


def _timeout(target: Target) -> float:
    return max(Timeouts().answer, target.timeouts.answer)  # a factor below 1 is meant for the mesh


def _request_version(target: Target) -> str:
    login = Api(target.kubeconfig, target.context).login
    # A client without retries: a cluster that needs them is not ready for a run.
    with client.ApiClient(login.configuration) as plain:
        try:
            return str(client.VersionApi(plain).get_code(_request_timeout=_scaled(target, 5, 8)).git_version)
        except ApiException as error:
            raise (login.rejection() if error.status == 401 else error) from error


def _scaled(target: Target, *seconds: float) -> tuple[float, ...]:
    return tuple(max(1.0, target.timeout_scale) * each for each in seconds)
