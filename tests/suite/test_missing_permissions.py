"""Missing permissions are listed before anything is created; all other tests here run with the documented ones."""

from __future__ import annotations

import pytest
from kubernetes import client
from suite_run import RunSuite  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.cli.rights import NAME
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import RUN_LABEL

pytestmark = pytest.mark.embedded


def test_missing_permissions_are_listed_and_nothing_is_created(
    run_suite: RunSuite, api: Api, kubeconfig: object
) -> None:
    assert kubeconfig
    rbac = client.RbacAuthorizationV1Api(api.client)
    role = rbac.read_cluster_role(NAME)
    reduced = [rule for rule in role.rules if rule.resources != ["pods/exec"]]
    rbac.patch_cluster_role(NAME, {"rules": client.ApiClient().sanitize_for_serialization(reduced)})
    try:
        run = run_suite("conformance/timeouts")
    finally:
        rbac.replace_cluster_role(NAME, client.V1ClusterRole(metadata=client.V1ObjectMeta(name=NAME), rules=role.rules))
    assert run.exit == 3, run.output
    lines = [line for line in run.output.splitlines() if "missing permission:" in line]
    assert len(lines) == 2, run.output
    assert all("pods/exec" in line for line in lines)
    assert not api.core.list_namespace(label_selector=RUN_LABEL).items
