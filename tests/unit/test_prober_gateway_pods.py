"""A gateway without pods is an outcome of the mesh; one that is not ready is an error."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress.cluster.readiness import NoPodError, NotReadyError
from pytest_istio_egress.pipeline.prober import Prober

GATEWAY = "exit.egress-gateway"


class Pods:
    """An environment in which every lookup of a pod fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.lookups: list[str] = []

    def pod(self, client: str) -> None:
        self.lookups.append(client)
        raise self.error


def prober(environment: Pods, case_setup: SimpleNamespace) -> Prober:
    return Prober(cast(Any, SimpleNamespace(api=None, environment=environment)), cast(Any, case_setup))


def test_gateway_without_pods_is_looked_up_once_per_sync() -> None:
    pods, case_setup = Pods(NoPodError("no pod was created")), SimpleNamespace(syncs=1)
    one = prober(pods, case_setup)
    assert [one.gateway_pods(GATEWAY) for _ in range(2)] == [[], []]
    assert pods.lookups == [GATEWAY]
    case_setup.syncs += 1  # what was applied since may create it
    assert one.gateway_pods(GATEWAY) == []
    assert len(pods.lookups) == 2


def test_gateway_that_is_not_ready_is_an_error() -> None:
    pods = Pods(NotReadyError("container istio-proxy is waiting: ImagePullBackOff"))
    with pytest.raises(NotReadyError, match="ImagePullBackOff"):
        prober(pods, SimpleNamespace(syncs=1)).gateway_pods(GATEWAY)
