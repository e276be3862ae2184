"""The use of prepared namespaces: one run at a time, with no more workers than they were prepared for."""

from __future__ import annotations

from dataclasses import replace

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.prepared_lease import PreparedLease
from pytest_istio_egress.cluster.prepared_namespaces import all_namespaces, empty, prepared_workers
from pytest_istio_egress.cluster.prepared_permissions import MESH_READS, prepared_role
from pytest_istio_egress.run_target import Prepared, Say, Target, TargetError
from pytest_istio_egress.run_target.permission_check import check_permissions

NO_NAMESPACES = "a run with prepared namespaces creates no others"
"""Why tests are skipped whose manifests have a Namespace."""


def with_prepared_namespaces(prepared: Prepared, workers: int, say: Say) -> Prepared:
    """Return the target with the number of workers that namespaces are prepared for.

    Raises TargetError where there are none, or too few, or where the user lacks permissions there.
    """
    target = prepared.target
    try:
        api = Api(target.kubeconfig, target.context, target.timeouts)
        limit = prepared_workers(api, target.run)
        if workers > limit:
            raise TargetError(
                f"{workers} workers, but the namespaces of {target.run} are prepared for {limit}: use -n {limit}, or "
                f"apply what `istio-egress namespaces {target.run} --workers {workers}` prints"
            )
        roles = [MESH_READS, *map(prepared_role, all_namespaces(target.run, limit))]
        check_permissions(api, target, roles, say)
    except (ClusterError, ApiException, HTTPError) as error:
        raise TargetError(reason(error)) from error
    found = replace(target, prepared_workers=limit, refused={"Namespace": NO_NAMESPACES})
    return replace(prepared, target=found)


def occupy(prepared: Prepared, say: Say) -> Prepared:
    """Acquire the lease of the prepared namespaces, and delete what a killed run left there.

    Raises TargetError where another run uses them.
    """
    target = prepared.target
    try:
        api = Api(target.kubeconfig, target.context, target.timeouts)
        lease = PreparedLease(api, target.run)
        lease.acquire(say)
        try:
            if found := empty(api, target.run, target.prepared_workers, say):
                say(f"istio-egress: deleted {found} objects in the prepared namespaces, which a killed run had left")
        except BaseException:
            lease.release()
            raise
    except (ClusterError, ApiException, HTTPError) as error:
        raise TargetError(reason(error)) from error
    return replace(prepared, lease=lease)


def vacate(target: Target, lease: PreparedLease, say: Say) -> None:
    """Delete everything of the run in the prepared namespaces, and release their lease."""
    if lease.lost:
        raise ClusterError(f"another run has taken the namespaces prepared as {target.run}, so they were not emptied")
    try:
        api = Api(target.kubeconfig, target.context, target.timeouts)
        empty(api, target.run, target.prepared_workers, say)
    finally:
        lease.release()
