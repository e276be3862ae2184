"""Detects the mesh of a run before the first test, with the permissions of the run."""

from __future__ import annotations

from dataclasses import replace

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.facts.table import FactOverrides
from pytest_istio_egress.cluster.features import features
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.mesh_config_map import MeshConfigMap
from pytest_istio_egress.cluster.permissions import RUN
from pytest_istio_egress.cluster.run_lease import remove_leftovers, restore_mesh_config
from pytest_istio_egress.cluster.user_ids import with_user_ids
from pytest_istio_egress.model.placement import Placement, pairs
from pytest_istio_egress.run_target import Prepared, Say, TargetError
from pytest_istio_egress.run_target.admission_check import check_admission
from pytest_istio_egress.run_target.permission_check import check_mesh_permissions, check_permissions
from pytest_istio_egress.settings.options import Settings


def detect_mesh(prepared: Prepared, settings: Settings, say: Say) -> Prepared:
    """Detect facts and features of the mesh; raises TargetError where there is no working Istio.

    Namespaces of killed runs are deleted, for their configuration slows the mesh down.
    """
    try:
        api = Api(prepared.target.kubeconfig, prepared.target.context, prepared.target.timeouts)
        check_permissions(api, prepared.target, (RUN,), say)
        overrides = FactOverrides(settings.revision, settings.gateway, pairs(settings.fact), settings.places)
        mesh = Mesh(api, overrides=overrides)
        check_mesh_permissions(mesh, prepared.target, say)
        mesh.check()
        mesh = after_pending_restore(mesh, say)
        gateway = mesh.facts.gateway
        description = f"egress gateway {gateway}" if gateway else "no egress gateway"
        placement = with_user_ids(Placement.of(prepared.target.placement), api)
        target = replace(prepared.target, mesh=mesh.facts.to_mapping(), placement=placement.to_mapping())
        reasons = features(mesh)
        remove_leftovers(api, say)
        target = check_admission(api, target, mesh.facts, say)
    except ApiException as error:
        raise TargetError(f"cannot detect the mesh: {reason(error)}") from error
    except (ClusterError, HTTPError) as error:
        raise TargetError(reason(error)) from error
    return replace(prepared, target=target, gateway=description, features=reasons)


def after_pending_restore(mesh: Mesh, say: Say) -> Mesh:
    """Return the mesh without a pending change: that of a killed run is restored, that of another run waited for."""
    settings = MeshConfigMap(mesh.api, mesh.facts.control_plane, mesh.facts.config_map)
    if settings.pending_restore() is None:
        return mesh
    restore_mesh_config(mesh.api, settings, say)
    if settings.pending_restore() is not None:
        say("istio-egress: waiting for another run, whose test has changed the mesh configuration, to restore it")
        settings.wait_unlocked()
    return type(mesh)(mesh.api, overrides=mesh.overrides)  # detect the facts again
