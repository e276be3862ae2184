"""The command `istio-egress rights`: prints the RBAC roles of a run as YAML for kubectl apply."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_istio_egress.model.mesh_facts import DEFAULT_REVISION, config_map_of

if TYPE_CHECKING:
    from pytest_istio_egress.cluster.permissions import Permission, Role

NAME = "istio-egress"
_HEAD = f"""\
# All permissions of `pytest --istio-egress` in a cluster. Printed by `{NAME} rights`.
# A run checks its permissions first, and lists the missing ones before it creates anything.
# Apply this file as a user who may grant these permissions. They are bound to the service account {NAME} in the
# namespace {NAME}; to grant them to other users or groups, change the subjects of the bindings. Optional roles may be
# removed. To copy a pull secret (--istio-egress-pull-secret), add a rule: get, create and patch of secrets, limited to
# its name.
"""
SERVICE_ACCOUNT = f"""\
apiVersion: v1
kind: Namespace
metadata: {{name: {NAME}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {NAME}, namespace: {NAME}}}
"""
"""The account that roles are bound to."""


def register_rights_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `rights` to the command line; it sets `run`, which takes the arguments and returns the exit code."""
    rights = commands.add_parser("rights", help="Print the RBAC roles of a run, for kubectl apply -f -")
    rights.add_argument(
        "--control-plane",
        metavar="NAMESPACE",
        default="istio-system",
        help="Namespace of the control plane. Default: %(default)s",
    )
    rights.add_argument("--revision", metavar="NAME", help="Istio revision under test. Default: the default revision")
    rights.add_argument(
        "--shared-mesh-config", metavar="NAME", help="ConfigMap that SHARED_MESH_CONFIG of istiod names. Default: none"
    )
    rights.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # Imported here: the kubernetes package takes most of a second, which `--help` would have to wait for.
    from pytest_istio_egress.cluster.permissions import roles

    mesh_config = config_map_of(arguments.revision or DEFAULT_REVISION)
    shared = [arguments.shared_mesh_config] if arguments.shared_mesh_config else []
    print(rights_page(roles(arguments.control_plane, mesh_config, *shared)), end="")
    return 0


def rights_page(roles: Sequence[Role]) -> str:
    """Return the roles and their bindings to the service account as YAML."""
    bound = (f"---\n{role_text(role)}---\n{binding_text(role, role.namespace)}" for role in roles)
    return _HEAD + SERVICE_ACCOUNT + "".join(bound)


def role_text(role: Role) -> str:
    """Return a role as YAML, with a comment on its purpose and on that of each rule."""
    comment = "".join(f"# {line}\n" for line in role.purpose.splitlines())
    metadata = _metadata(role, role.namespace)
    lines = [f"apiVersion: rbac.authorization.k8s.io/v1\nkind: {role.kind}\nmetadata: {metadata}\nrules:\n"]
    return comment + "".join([*lines, *(part for permission in role.permissions for part in _rule(permission))])


def _rule(permission: Permission) -> Iterator[str]:
    group = permission.group or '""'
    yield f"- apiGroups: [{group}] # {permission.purpose}\n"
    yield f"  resources: [{', '.join(permission.resources)}]\n"
    if permission.names:
        yield f"  resourceNames: [{', '.join(permission.names)}]\n"
    yield f"  verbs: [{', '.join(permission.verbs)}]\n"


def binding_text(role: Role, namespace: str | None) -> str:
    """Return the binding of a role to the service account as YAML: in one namespace, None for all."""
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    return (
        f"apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {_metadata(role, namespace)}\n"
        f"roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {role.kind}, name: {role.name}}}\n"
        f"subjects:\n- {{kind: ServiceAccount, name: {NAME}, namespace: {NAME}}}\n"
    )


def _metadata(role: Role, namespace: str | None) -> str:
    return f"{{name: {role.name}, namespace: {namespace}}}" if namespace else f"{{name: {role.name}}}"
