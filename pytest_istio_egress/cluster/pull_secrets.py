"""Copies the secrets that images are pulled with: a pod uses those of its own namespace only."""

from __future__ import annotations

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import ClusterError, reason
from pytest_istio_egress.cluster.apply import Applier
from pytest_istio_egress.cluster.credentials import kubernetes_secret


def copy_pull_secrets(applier: Applier, namespace: str) -> None:
    """Copy those of the applier's placement into a namespace; ClusterError names one that can't be read."""
    for where in applier.names.placement.pull_secrets:
        origin, _, name = where.partition("/")
        try:
            found = applier.api.core.read_namespaced_secret(name, origin)
        except ApiException as error:
            raise ClusterError(f"the pull secret {where} can't be read: {reason(error)}") from error
        applier.apply([{**kubernetes_secret(name, found.data), "type": found.type}], namespace)
