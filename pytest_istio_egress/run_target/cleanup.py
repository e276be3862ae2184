"""The end of a run: what it made goes, and an embedded cluster that was started for it."""

from __future__ import annotations

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.run_lease import remove
from pytest_istio_egress.run_target import Prepared, Say, TargetError, one_line


def release(prepared: Prepared, say: Say) -> None:
    """Remove what the run made; an embedded cluster that ends with the run takes all of it along."""
    if prepared.ends is not None:
        from pytest_istio_egress.run_target.embedded import end

        end(prepared.ends, say)
        return
    target = prepared.target
    try:
        remove(Api(target.kubeconfig, target.context, target.timeouts), target.run, say=say)
    except (ClusterError, ApiException, HTTPError) as error:
        raise TargetError(f"what run {target.run} made may still be in the cluster: {one_line(error)}") from error
