"""What holds in the mesh for the whole run: found out before the first case, with the rights that a run has."""

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
from pytest_istio_egress.cluster.run_lease import restore_mesh_config, remove_leftovers
from pytest_istio_egress.model.placement import pairs
from pytest_istio_egress.run_target import Prepared, Say, TargetError, one_line
from pytest_istio_egress.run_target.permission_check import check_rights, check_rights_in_mesh
from pytest_istio_egress.settings.options import Settings


def detect_mesh(prepared: Prepared, settings: Settings, say: Say) -> Prepared:
    """Find out what holds for the run; raises TargetError when there is no Istio that works.

    What killed runs left is removed on the way: it would only make the mesh slower to ask.
    """
    try:
        api = Api(prepared.target.kubeconfig, prepared.target.context, prepared.target.timeouts)
        check_rights(api, prepared.target, (RUN,), say)
        given = FactOverrides(settings.revision, settings.gateway, pairs(settings.fact), settings.places)
        mesh = Mesh(api, given=given)
        check_rights_in_mesh(mesh, prepared.target, say)
        mesh.check()
        mesh = after_pending_restore(mesh, say)
        gateway = mesh.gateway
        through = f"egress gateway {gateway}" if gateway else "no egress gateway"
        target = replace(prepared.target, mesh=mesh.facts.to_mapping())
        found = features(mesh)
        remove_leftovers(api, say)
    except ApiException as error:
        raise TargetError(f"the mesh can't be looked at: {reason(error)}") from error
    except (ClusterError, HTTPError) as error:
        raise TargetError(one_line(error)) from error
    return replace(prepared, target=target, gateway=through, features=found)


def after_pending_restore(mesh: Mesh, say: Say) -> Mesh:
    """Return the mesh as it is when no run has it changed: a killed run's change is put back, another's waited for."""
    settings = MeshConfigMap(mesh.api, mesh.facts.control_plane, mesh.facts.mesh_config)
    if settings.pending_restore() is None:
        return mesh
    restore_mesh_config(mesh.api, settings, say)
    if settings.pending_restore() is not None:
        say("istio-egress: another run has changed the mesh's configuration for a case; waiting until it is put back")
        settings.wait_unlocked()
    return type(mesh)(mesh.api, given=mesh.given)  # what was found out before was the change's
