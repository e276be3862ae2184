"""Whether Istio's resources are checked is read from the cluster's webhooks, whatever their configuration is called."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.features import DETECT
from pytest_istio_egress.cluster.mesh import Mesh


def missing(answer: Any) -> str | None:
    def get() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(to_dict=lambda: {"items": answer})

    api = SimpleNamespace(resource=lambda _version, _kind: SimpleNamespace(get=get))
    return DETECT["validation-webhook"](cast(Mesh, SimpleNamespace(api=api)))


@pytest.mark.parametrize("name", ["validation.istio.io", "rev.validation.istio.io"])
def test_istios_webhook_is_known_by_its_name(name: str) -> None:
    assert missing([{"webhooks": None}, {"webhooks": [{"name": "another.io"}, {"name": name}]}]) is None


@pytest.mark.parametrize("answer", [[], [{"webhooks": [{"name": "another.io"}]}]], ids=["none", "another"])
def test_a_cluster_without_it_says_so(answer: list[Any]) -> None:
    assert "nobody checks" in (missing(answer) or "")


def test_what_may_not_be_read_is_no_error() -> None:
    assert "forbidden" in (missing(ApiException(status=403, reason="forbidden")) or "")
