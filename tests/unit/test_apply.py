"""A refusal that goes by itself is waited out; any other is an answer."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import Applier, RefusedError
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.model.timeouts import Timeouts

NO_WEBHOOK = ApiException(500, 'failed calling webhook "validation.istio.io": failed to call webhook: refused')


def applied(kind: str, *refusals: ApiException, timeouts: Timeouts | None = None) -> int:
    """Apply a manifest that is refused so; returns how often it was sent."""
    left, sent = list(refusals), []

    def server_side_apply(**given: Any) -> None:
        sent.append(given["name"])
        if left:
            raise left.pop(0)

    api = SimpleNamespace(
        timeouts=timeouts or Timeouts(), resource=lambda *_: SimpleNamespace(server_side_apply=server_side_apply)
    )
    document = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "one"}}
    Applier(cast(Api, api), Names("k3x9q", "gw0")).apply([document], "egress-client")
    return len(sent)


def test_a_webhook_that_is_away_is_waited_for() -> None:
    assert applied("ServiceEntry", NO_WEBHOOK, NO_WEBHOOK) == 3


def test_a_role_that_is_not_known_yet_is_waited_for() -> None:
    assert applied("RoleBinding", ApiException(404, "not found")) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 422, 500])
def test_any_other_refusal_is_an_answer(status: int) -> None:
    with pytest.raises(RefusedError):
        applied("ServiceEntry", ApiException(status, "no"))


def test_the_wait_ends() -> None:
    with pytest.raises(RefusedError):
        applied("ServiceEntry", NO_WEBHOOK, timeouts=Timeouts(api=0.0))
