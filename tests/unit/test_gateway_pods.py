"""A gateway that nobody brings up is something seen of the mesh; one that does not get ready is trouble."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.readiness import NoPodError, NotReadyError
from pytest_istio_egress.judge import Judge
from pytest_istio_egress.timeouts import Timeouts


def judge(error: Exception, asked: list[str]) -> Judge:
    def pod(client: str) -> None:
        asked.append(client)
        raise error

    nothing = cast(Any, SimpleNamespace())
    return Judge(nothing, cast(Any, SimpleNamespace(pod=pod, names=Names("k3x9q", "gw0"))), nothing, Timeouts())


def test_a_gateway_without_any_pod_has_none_and_is_waited_for_once() -> None:
    asked: list[str] = []
    one = judge(NoPodError("no pod was created"), asked)
    assert [one._gateway_pods("exit.egress-gateway") for _ in range(2)] == [[], []]
    assert asked == ["exit.egress-gateway"]


def test_a_gateway_that_does_not_get_ready_is_trouble() -> None:
    with pytest.raises(NotReadyError, match="ImagePullBackOff"):
        judge(NotReadyError("container istio-proxy waits: ImagePullBackOff"), [])._gateway_pods("exit.egress-gateway")
