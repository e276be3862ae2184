"""The cleanup of a run: deletes its namespaces, empties prepared ones, or stops the embedded cluster."""

from __future__ import annotations

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.mesh_config_map import MeshConfigMap
from pytest_istio_egress.cluster.run_lease import remove
from pytest_istio_egress.model.mesh_facts import MeshFacts
from pytest_istio_egress.run_target import Prepared, Say, TargetError
from pytest_istio_egress.run_target.prepared_use import vacate


def release(prepared: Prepared, say: Say) -> None:
    """Delete the run's namespaces, empty prepared ones, or stop its embedded cluster; raises TargetError."""
    if prepared.stops_with_run is not None:
        from pytest_istio_egress.run_target.embedded import end

        end(prepared.stops_with_run, say)
        return
    target = prepared.target
    if target.prepared and prepared.lease is None:
        return  # the run never had them
    try:
        if prepared.lease is not None:
            vacate(target, prepared.lease, say)
            return
        api = Api(target.kubeconfig, target.context, target.timeouts)
        if target.allow_mesh_wide and target.mesh:
            # First, because it affects others: workers that were ended in a test may not have done it.
            facts = MeshFacts.of(target.mesh)
            MeshConfigMap(api, facts.control_plane, facts.config_map, target.run).restore_own_change()
        remove(api, target.run, say=say)
    except (ClusterError, ApiException, HTTPError) as error:
        what = "empty the prepared namespaces" if target.prepared else "delete the namespaces of run"
        raise TargetError(f"cannot {what} {target.run}: {reason(error)}") from error
