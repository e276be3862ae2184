"""What the cluster puts into the run's namespaces by itself: network policies of a policy engine."""

from __future__ import annotations

from collections.abc import Iterable

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.apply import RUN_LABEL


def foreign_policies(api: Api, namespaces: Iterable[str]) -> list[str]:
    """Name the policies in the run's namespaces that are not its own: policy engines put them there."""
    networking = client.NetworkingV1Api(api.client)
    found = []
    for namespace in namespaces:
        try:
            policies = networking.list_namespaced_network_policy(namespace, label_selector=f"!{RUN_LABEL}").items
        except ApiException as error:
            raise ClusterError(f"network policies in {namespace} can't be listed: {reason(error)}") from error
        found += [f"networkpolicy/{policy.metadata.name} -n {namespace}" for policy in policies]
    return found
