"""A gateway that nobody brings up is something seen of the mesh; one that does not get ready is trouble."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress.asking import Asking
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.readiness import NoPodError, NotReadyError
from pytest_istio_egress.phases import Phases
from pytest_istio_egress.staging import Staging
from pytest_istio_egress.timeouts import Timeouts


def asking(error: Exception, asked: list[str]) -> Asking:
    def pod(client: str) -> None:
        asked.append(client)
        raise error

    nothing = cast(Any, SimpleNamespace())
    world = cast(Any, SimpleNamespace(pod=pod, names=Names("k3x9q", "gw0")))
    return Asking(Staging(nothing, world, nothing, Timeouts(), Phases()))


def test_a_gateway_without_any_pod_has_none_and_is_waited_for_once() -> None:
    asked: list[str] = []
    one = asking(NoPodError("no pod was created"), asked)
    assert [one.gateway_pods("exit.egress-gateway") for _ in range(2)] == [[], []]
    assert asked == ["exit.egress-gateway"]
    one.staging.settled += 1  # what was applied since may bring it
    assert one.gateway_pods("exit.egress-gateway") == []
    assert len(asked) == 2


def test_a_gateway_that_does_not_get_ready_is_trouble() -> None:
    with pytest.raises(NotReadyError, match="ImagePullBackOff"):
        asking(NotReadyError("container istio-proxy waits: ImagePullBackOff"), []).gateway_pods("exit.egress-gateway")
