"""Whether the cluster answers: it is asked for its version, and has until a deadline that holds whatever hangs."""

from __future__ import annotations

import threading

from kubernetes import client

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.run_target import Target, TargetError, one_line


def kubernetes_version(target: Target) -> str:
    """Ask for /version; raises TargetError when nothing answers in time."""
    within = _answers_within(target)
    answers: list[str] = []
    errors: list[Exception] = []

    def ask() -> None:
        try:
            answers.append(_asked_version(target))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is carried over to the waiting thread
            errors.append(error)

    # The client loads its thousand models when it is first used: on a busy machine seconds that are not the cluster's.
    client.CoreV1Api(client.ApiClient(client.Configuration()))

    # A thread, because a credential helper or a name look-up knows no timeout; a daemon, so that none outlives the run.
    asking = threading.Thread(target=ask, name="asking the cluster for its version", daemon=True)
    asking.start()
    asking.join(within)
    if answers:
        return answers[0]
    why = one_line(errors[0]) if errors else f"no answer within {within:g} s"
    where = f"--context {target.context}" + (f" --kubeconfig {target.kubeconfig}" if target.kubeconfig else "")
    raise TargetError(
        f"the cluster of context {target.context!r} can't be asked: {why}; try `kubectl {where} version`"
    ) from (errors[0] if errors else None)


def _answers_within(target: Target) -> float:
    return max(Timeouts().answer, target.timeouts.answer)  # a factor below 1 is about the mesh, not about this


def _asked_version(target: Target) -> str:
    configuration = Api(target.kubeconfig, target.context).configuration
    # One try (a plain client makes no more): a cluster that needs several is not one to start a run on.
    with client.ApiClient(configuration) as once:
        return str(client.VersionApi(once).get_code(_request_timeout=_scaled(target, 5, 8)).git_version)


def _scaled(target: Target, *seconds: float) -> tuple[float, ...]:
    return tuple(max(1.0, target.timeout_scale) * each for each in seconds)
