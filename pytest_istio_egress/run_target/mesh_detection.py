"""Detects the mesh of a run before the first test, with the permissions of the run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.facts.table import FactOverrides
from pytest_istio_egress.cluster.features import features
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.mesh_config_map import MeshConfigMap
from pytest_istio_egress.cluster.names import GATEWAY_NAMESPACE, Names
from pytest_istio_egress.cluster.permissions import RUN
from pytest_istio_egress.cluster.prepared_namespaces import worker_names
from pytest_istio_egress.cluster.run_lease import remove_leftovers, restore_mesh_config
from pytest_istio_egress.cluster.user_ids import with_user_ids
from pytest_istio_egress.model.placement import Placement, pairs
from pytest_istio_egress.run_target import Prepared, Say, Target, TargetError
from pytest_istio_egress.run_target.admission_check import check_admission
from pytest_istio_egress.run_target.permission_check import check_mesh_permissions, check_permissions
from pytest_istio_egress.run_target.prepared_use import with_prepared_namespaces
from pytest_istio_egress.run_target.runnable_cases import can_run_any
from pytest_istio_egress.settings.options import Settings


def detect_mesh(prepared: Prepared, settings: Settings, ids: Collection[str], say: Say) -> Prepared:
    """Detect facts and features of the mesh; raises TargetError without a working Istio.

    `ids` are the parameters of the run. What the cluster refuses is found out if one of the suite's own tests can run:
    other runs create none of its objects, unless a test of the user's applies some.
    What killed runs left is removed first: its configuration slows the mesh down, or differs from the mesh's own.
    """
    with _cluster_errors_as_target_errors():
        mesh = after_pending_restore(_working_mesh(prepared, settings, say), prepared.target, say)
        if not prepared.target.prepared:
            remove_leftovers(mesh.api, say)
        found = _with_features(prepared, mesh)
        wanted = can_run_any(ids, found, runs_mesh_wide=settings.runs_mesh_wide)
        return _with_refusals(found, mesh, say) if wanted else found


def look_beforehand(prepared: Prepared, settings: Settings, say: Say) -> Prepared:
    """Detect the same as `detect_mesh`, and leave what killed runs left."""
    with _cluster_errors_as_target_errors():
        if settings.prepared:
            prepared = with_prepared_namespaces(prepared, 1, say)
        mesh = _working_mesh(prepared, settings, say)
        return _with_refusals(_with_features(prepared, mesh), mesh, say)


def _working_mesh(prepared: Prepared, settings: Settings, say: Say) -> Mesh:
    target = prepared.target
    api = Api(target.kubeconfig, target.context, target.timeouts)
    if not target.prepared:  # else they were checked with the prepared namespaces
        check_permissions(api, target, (RUN,), say)
        warn_of_namespaces_that_will_stay(api, say)
    overrides = FactOverrides(settings.revision, settings.gateway, pairs(settings.fact), settings.places)
    mesh = Mesh(api, overrides=overrides, grants_in=namespace_of_grants(target))
    check_mesh_permissions(mesh, target, say)
    mesh.check()
    return mesh


def warn_of_namespaces_that_will_stay(api: Api, say: Say) -> None:
    """Say which APIServices keep the cluster from deleting any namespace, and so those of the run."""
    if broken := api.broken_api_services():
        say(
            f"istio-egress: APIService {', '.join(broken)} does not answer: until it is mended or deleted, this "
            "cluster deletes no namespace, and those of this run stay"
        )


def namespace_of_grants(target: Target) -> str | None:
    """Return the namespace in which the run's gateways are granted permissions; None: any, as the run creates it."""
    return Names(target.run, worker_names(1)[0]).namespace(GATEWAY_NAMESPACE) if target.prepared else None


def _with_features(prepared: Prepared, mesh: Mesh) -> Prepared:
    gateway = mesh.facts.gateway
    description = f"egress gateway {gateway}" if gateway else "no egress gateway"
    placement = with_user_ids(Placement.of(prepared.target.placement), mesh.api)
    target = replace(prepared.target, mesh=mesh.facts.to_mapping(), placement=placement.to_mapping())
    return replace(prepared, target=target, gateway=description, features=features(mesh))


def _with_refusals(prepared: Prepared, mesh: Mesh, say: Say) -> Prepared:
    lacking = [feature for feature, why in prepared.features.items() if why]
    return replace(prepared, target=check_admission(mesh.api, prepared.target, mesh.facts, lacking, say))


@contextmanager
def _cluster_errors_as_target_errors() -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        raise TargetError(f"cannot detect the mesh: {reason(error)}") from error
    except (ClusterError, HTTPError) as error:
        raise TargetError(reason(error)) from error


def after_pending_restore(mesh: Mesh, target: Target, say: Say) -> Mesh:
    """Return the mesh without a pending change: that of a killed run is restored, that of another run waited for.

    A run with prepared namespaces may not list others, so it does not know which runs were killed, and waits.
    """
    settings = MeshConfigMap(mesh.api, mesh.facts.control_plane, mesh.facts.config_map)
    if settings.pending_restore() is None:
        return mesh
    if not target.prepared:
        restore_mesh_config(mesh.api, settings, say)
    if settings.pending_restore() is not None:
        say("istio-egress: waiting for another run, whose test has changed the mesh configuration, to restore it")
        settings.wait_unlocked()
    return type(mesh)(mesh.api, overrides=mesh.overrides, grants_in=mesh.grants_in)  # detect the facts again
