"""OpenShift assigns user ids; other clusters get those of the manifests."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.user_ids import RANGE, with_user_ids
from pytest_istio_egress.model.placement import Placement


def api(*, constraints: bool = False, annotations: dict[str, str] | None = None, missing: bool = False) -> Api:
    def read_namespace(_: str) -> Any:
        if missing:
            raise ApiException(404)
        return SimpleNamespace(metadata=SimpleNamespace(annotations=annotations))

    return cast(
        Api, SimpleNamespace(serves=lambda *_: constraints, core=SimpleNamespace(read_namespace=read_namespace))
    )


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (api(), "fixed"),
        (api(missing=True), "fixed"),
        (api(constraints=True), "assigned"),
        (api(annotations={RANGE: "1000650000/10000"}), "assigned"),
    ],
)
def test_user_ids_are_left_open_where_the_platform_assigns_them(cluster: Api, expected: str) -> None:
    assert with_user_ids(Placement(), cluster).user_ids == expected
    assert with_user_ids(Placement(user_ids="fixed"), cluster).user_ids == "fixed"
