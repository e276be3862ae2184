"""Pull secrets are copied into the namespaces of the run."""

from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.run_secrets import copy_pull_secrets
from pytest_istio_egress.model.placement import Placement


class Core:
    """An API with one secret."""

    def read_namespaced_secret(self, name: str, namespace: str) -> Any:
        if (namespace, name) != ("images", "pull"):
            raise ApiException(status=404, reason="Not Found")
        return SimpleNamespace(data={".dockerconfigjson": "e30="}, type="kubernetes.io/dockerconfigjson")


def applier(applied: list[Any], *secrets: str) -> Any:
    return SimpleNamespace(
        api=SimpleNamespace(core=Core()),
        names=SimpleNamespace(placement=Placement(pull_secrets=secrets)),
        apply=lambda documents, namespace: applied.append((documents[0], namespace)),
    )


def test_pull_secret_is_copied_with_its_type() -> None:
    applied: list[Any] = []
    copy_pull_secrets(applier(applied, "images/pull"), "egress-client")
    ((secret, namespace),) = applied
    assert namespace == "egress-client"
    assert secret["metadata"]["name"] == "pull"
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    assert secret["data"] == {".dockerconfigjson": "e30="}


def test_missing_pull_secret_is_an_error_with_its_name() -> None:
    with pytest.raises(ClusterError, match="cannot read pull secret images/nothing"):
        copy_pull_secrets(applier([], "images/nothing"), "egress-client")
