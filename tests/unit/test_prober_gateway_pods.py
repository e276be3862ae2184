"""A gateway that nobody brings up is something seen of the mesh; one that does not get ready is trouble."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.readiness import NoPodError, NotReadyError
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.phase_timer import PhaseTimer
from pytest_istio_egress.pipeline.prober import Prober


def prober(error: Exception, asked: list[str]) -> Prober:
    def pod(client: str) -> None:
        asked.append(client)
        raise error

    nothing = cast(Any, SimpleNamespace())
    environment = cast(Any, SimpleNamespace(pod=pod, names=Names("k3x9q", "gw0")))
    return Prober(CaseSetup(nothing, environment, nothing, Timeouts(), PhaseTimer()))


def test_a_gateway_without_any_pod_has_none_and_is_waited_for_once() -> None:
    asked: list[str] = []
    one = prober(NoPodError("no pod was created"), asked)
    assert [one.gateway_pods("exit.egress-gateway") for _ in range(2)] == [[], []]
    assert asked == ["exit.egress-gateway"]
    one.case_setup.settled += 1  # what was applied since may bring it
    assert one.gateway_pods("exit.egress-gateway") == []
    assert len(asked) == 2


def test_a_gateway_that_does_not_get_ready_is_trouble() -> None:
    with pytest.raises(NotReadyError, match="ImagePullBackOff"):
        prober(NotReadyError("container istio-proxy waits: ImagePullBackOff"), []).gateway_pods("exit.egress-gateway")
