"""The command `istio-egress rights`: print the roles that a run needs, as YAML for kubectl apply."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_istio_egress.cluster.permissions import Right, Role

NAME = "istio-egress"
_HEAD = f"""\
# What `pytest --istio-egress` may do in a cluster, and nothing else; `{NAME} rights` prints this file.
# A run looks first whether it has these rights, and names what is missing before it makes anything.
# Have it applied by somebody who may grant them; a run is then service account {NAME} in namespace {NAME} (for other
# users or groups, change the bindings' subjects). Leave out the roles that you don't want to grant.
# A pull secret that shall be copied takes one more rule: get, create and patch of secrets with its name.
apiVersion: v1
kind: Namespace
metadata: {{name: {NAME}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {NAME}, namespace: {NAME}}}
"""


def register_rights_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `rights` to the command line; it sets `run`, which takes the arguments and returns a code."""
    rights = commands.add_parser("rights", help="print the roles that a run needs, for kubectl apply -f -")
    rights.add_argument("--control-plane", metavar="NAMESPACE", default="istio-system", help="default: %(default)s")
    rights.add_argument("--revision", help="of the control plane that is asked (default: the default one)")
    rights.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # Imported here: the kubernetes package takes most of a second, and `--help` shall not.
    from pytest_istio_egress.cluster.permissions import MESH_CONFIG, roles

    mesh_config = f"{MESH_CONFIG}-{arguments.revision}" if arguments.revision else MESH_CONFIG
    sys.stdout.write(rights_page(roles(arguments.control_plane, mesh_config)))
    return 0


def rights_page(roles: Sequence[Role]) -> str:
    """Return the roles and their bindings to the service account as one YAML text."""
    return _HEAD + "".join(f"---\n{_role(role)}---\n{_binding(role)}" for role in roles)


def _role(role: Role) -> str:
    comment = "".join(f"# {line}\n" for line in role.why.splitlines())
    lines = [f"apiVersion: rbac.authorization.k8s.io/v1\nkind: {role.kind}\nmetadata: {_metadata(role)}\nrules:\n"]
    return comment + "".join([*lines, *(part for right in role.rights for part in _rule(right))])


def _rule(right: Right) -> Iterator[str]:
    group = right.group or '""'
    yield f"- apiGroups: [{group}] # {right.why}\n"
    yield f"  resources: [{', '.join(right.resources)}]\n"
    if right.names:
        yield f"  resourceNames: [{', '.join(right.names)}]\n"
    yield f"  verbs: [{', '.join(right.verbs)}]\n"


def _binding(role: Role) -> str:
    return (
        f"apiVersion: rbac.authorization.k8s.io/v1\nkind: {role.kind}Binding\nmetadata: {_metadata(role)}\n"
        f"roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {role.kind}, name: {role.name}}}\n"
        f"subjects:\n- {{kind: ServiceAccount, name: {NAME}, namespace: {NAME}}}\n"
    )


def _metadata(role: Role) -> str:
    return f"{{name: {role.name}, namespace: {role.namespace}}}" if role.namespace else f"{{name: {role.name}}}"
