"""A right that is missing is named before anything is made; all other tests here run with just the rights needed."""

from __future__ import annotations

import pytest
from kubernetes import client
from suite_run import RunSuite  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.cli.rights import NAME
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import RUN_LABEL

pytestmark = pytest.mark.embedded


def test_missing_rights_are_named_and_nothing_is_made(run_suite: RunSuite, api: Api, kubeconfig: object) -> None:
    assert kubeconfig
    rbac = client.RbacAuthorizationV1Api(api.client)
    role = rbac.read_cluster_role(NAME)
    less = [rule for rule in role.rules if rule.resources != ["pods/exec"]]
    rbac.patch_cluster_role(NAME, {"rules": client.ApiClient().sanitize_for_serialization(less)})
    try:
        run = run_suite("conformance/timeouts")
    finally:
        rbac.replace_cluster_role(NAME, client.V1ClusterRole(metadata=client.V1ObjectMeta(name=NAME), rules=role.rules))
    assert run.exit == 3, run.output
    named = [line for line in run.output.splitlines() if "missing right" in line]
    assert len(named) == 2, run.output
    assert all("pods/exec" in line for line in named)
    assert not api.core.list_namespace(label_selector=RUN_LABEL).items
