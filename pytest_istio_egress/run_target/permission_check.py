"""Whether the user may do what a run does: asked before anything is made, each right that is missing is told."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.permissions import Role, missing_permissions, control_plane_role, mesh_wide_role
from pytest_istio_egress.run_target import Say, Target, TargetError


def check_rights(api: Api, target: Target, roles: Iterable[Role], say: Say) -> None:
    """Say each right that is missing; raises TargetError if one is, before anything is made."""
    missing = missing_permissions(api, roles)
    for action in missing:
        say(f"istio-egress: missing right: {action}")
    if missing:
        lacked = sorted({f"{action.role.kind} {action.role.name}" for action in missing})
        raise TargetError(
            f"{len(missing)} rights are missing in the cluster of context {target.context!r}, nothing was made; the "
            f"{' and the '.join(lacked)} that `istio-egress rights` prints (docs/rights.yaml) grant them"
        )


def check_rights_in_mesh(mesh: Mesh, target: Target, say: Say) -> None:
    """Check the rights in the control plane's namespace, which is a fact of the mesh that may take them to find out."""
    try:
        where = mesh.facts.control_plane, mesh.facts.mesh_config
    except ClusterError:
        check_rights(mesh.api, target, (control_plane_role(),), say)
        raise
    also = [mesh_wide_role(*where)] if target.allow_mesh_wide else []
    check_rights(mesh.api, target, (control_plane_role(*where), *also), say)
