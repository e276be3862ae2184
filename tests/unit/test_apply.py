"""A temporary rejection of a manifest is retried, any other is not."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import Applier, RefusedError
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.model.timeouts import Timeouts

NO_WEBHOOK = ApiException(500, 'failed calling webhook "validation.istio.io": failed to call webhook: refused')


def applied(kind: str, *rejections: ApiException, timeouts: Timeouts | None = None) -> int:
    """Apply a manifest that is rejected so; return how often it was sent."""
    remaining, sent = list(rejections), []

    def server_side_apply(**arguments: Any) -> None:
        sent.append(arguments["name"])
        if remaining:
            raise remaining.pop(0)

    api = SimpleNamespace(
        timeouts=timeouts or Timeouts(), resource=lambda *_: SimpleNamespace(server_side_apply=server_side_apply)
    )
    document = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "one"}}
    Applier(cast(Api, api), Names("k3x9q", "gw0")).apply([document], "egress-client")
    return len(sent)


def test_unavailable_webhook_is_waited_for() -> None:
    assert applied("ServiceEntry", NO_WEBHOOK, NO_WEBHOOK) == 3


def test_role_missing_in_the_cache_is_waited_for() -> None:
    assert applied("RoleBinding", ApiException(404, "not found")) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 422, 500])
def test_other_rejection_is_not_retried(status: int) -> None:
    with pytest.raises(RefusedError):
        applied("ServiceEntry", ApiException(status, "no"))


def test_retry_ends_after_the_timeout() -> None:
    with pytest.raises(RefusedError):
        applied("ServiceEntry", NO_WEBHOOK, timeouts=Timeouts(api=0.0))
