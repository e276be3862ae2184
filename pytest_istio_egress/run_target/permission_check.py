"""Checks the user's permissions before the run creates anything, and prints the missing ones."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.permissions import (
    MESH_CONFIG,
    Role,
    control_plane_role,
    mesh_wide_role,
    missing_permissions,
)
from pytest_istio_egress.cluster.prepared_permissions import root_role
from pytest_istio_egress.run_target import Say, Target, TargetError


def check_permissions(api: Api, target: Target, roles: Iterable[Role], say: Say) -> None:
    """Print the missing permissions of some roles; raises TargetError if there are any."""
    missing = missing_permissions(api, roles)
    for action in missing:
        say(f"istio-egress: missing permission: {action}")
    if missing:
        names = sorted({f"{action.role.kind} {action.role.name}" for action in missing})
        printed = (
            f"`istio-egress namespaces {target.run}`" if target.prepared else "`istio-egress rights`, docs/rights.yaml"
        )
        raise TargetError(
            f"missing {len(missing)} permissions in the cluster of context {target.context!r}; nothing was created. "
            f"Grant {' and '.join(names)} (printed by {printed})"
        )


def check_mesh_permissions(mesh: Mesh, target: Target, say: Say) -> None:
    """Check the permissions in the control plane's namespace, without which its detection may fail."""
    try:
        names = mesh.facts.control_plane, mesh.facts.config_map or MESH_CONFIG
    except ClusterError:
        check_permissions(mesh.api, target, (control_plane_role(),), say)
        raise
    mesh_wide = [mesh_wide_role(*names)] if target.allow_mesh_wide and mesh.facts.config_map else []
    # In other runs the cluster-wide role includes it.
    root = [root_role(mesh.facts.control_plane)] if target.prepared else []
    shared = [mesh.facts.shared_config_map] if mesh.facts.shared_config_map else []
    check_permissions(mesh.api, target, (control_plane_role(*names, *shared), *root, *mesh_wide), say)
