"""The command `istio-egress namespaces`: prints prepared namespaces and their roles as YAML for kubectl apply."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pytest_istio_egress.cli.exit_codes import UNUSABLE, USAGE
from pytest_istio_egress.cli.rights import NAME, SERVICE_ACCOUNT, binding_text, role_text
from pytest_istio_egress.settings.kubeconfig import NoContextError, chosen_context
from pytest_istio_egress.settings.option import CONTEXT_HELP, KUBECONFIG_HELP, valid_prepared_name

if TYPE_CHECKING:
    from pytest_istio_egress.cluster.permissions import Role
    from pytest_istio_egress.model.mesh_facts import MeshFacts

_HEAD = """\
# Namespaces for runs of `pytest --istio-egress` by users who may not create any. Printed by `{command}`
# for Istio {istio}, revision {revision}. Print it again when revisions, injection labels or discoverySelectors change.
# Apply this file as a user who may create namespaces and grant these permissions. Then:
#
#   pytest --istio-egress --istio-egress-prepared {name} -n {workers}{gateway}
#
# One run at a time uses them, and leaves them empty. The permissions are bound to the service account {account} in
# the namespace {account}; to grant them to other users or groups, change the subjects of the bindings. Optional roles
# may be removed. To copy a pull secret (--istio-egress-pull-secret), add a rule: get of secrets, limited to its name.
"""


def register_namespaces_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `namespaces` to the command line; it sets `run`, which takes the arguments and returns the exit code."""
    namespaces = commands.add_parser(
        "namespaces",
        help="Print namespaces and roles for users who may not create namespaces, for kubectl apply -f -",
        description="Detects the mesh, and prints the namespaces of runs with --istio-egress-prepared NAME: with the "
        "labels that the mesh needs, and roles that permit nothing outside of them but to read.",
    )
    namespaces.add_argument("name", metavar="NAME", help="Part of the names of the namespaces, such as team-a")
    namespaces.add_argument(
        "--workers", type=int, default=4, metavar="N", help="Greatest number of workers of a run. Default: %(default)s"
    )
    namespaces.add_argument("--kubeconfig", type=Path, metavar="PATH", help=KUBECONFIG_HELP)
    namespaces.add_argument("--context", metavar="NAME", help=CONTEXT_HELP)
    namespaces.add_argument(
        "--revision", metavar="NAME", help="Istio revision or tag to test. Default: the mesh's default revision"
    )
    namespaces.add_argument(
        "--gateway", metavar="NAMESPACE/SERVICE", help="Egress gateway Service to test. Default: the mesh's, if any"
    )
    namespaces.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # Imported here: the kubernetes package takes most of a second, which `--help` would have to wait for.
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    from pytest_istio_egress.cluster.api import Api, ClusterError, reason
    from pytest_istio_egress.cluster.facts.table import FactOverrides
    from pytest_istio_egress.cluster.mesh import Mesh

    try:
        if complaint := valid_prepared_name(arguments.name):
            raise argparse.ArgumentTypeError(complaint)
        if arguments.workers < 1:
            raise argparse.ArgumentTypeError(f"invalid value {arguments.workers} of --workers: use a number above 0")
        kubeconfig, context = chosen_context(arguments.kubeconfig, arguments.context)
        api = Api.of_command(kubeconfig, context)
        facts = Mesh(api, overrides=FactOverrides(arguments.revision, arguments.gateway)).facts
    except (NoContextError, argparse.ArgumentTypeError) as error:
        print(f"istio-egress: {error}", file=sys.stderr)
        return USAGE
    except (ApiException, ClusterError, HTTPError) as error:
        print(f"istio-egress: {reason(error)}", file=sys.stderr)
        return UNUSABLE
    print(page(arguments.name, arguments.workers, facts), end="")
    return 0


def page(name: str, workers: int, facts: MeshFacts) -> str:
    """Return the namespaces for a mesh with these facts, the roles, and their bindings to the service account."""
    from pytest_istio_egress.cluster.permissions import MESH_CONFIG, control_plane_role
    from pytest_istio_egress.cluster.prepared_namespaces import all_namespaces
    from pytest_istio_egress.cluster.prepared_permissions import (
        DIAGNOSIS_OF_PREPARED,
        MESH_READS,
        PREPARED,
        gateway_role,
        root_role,
    )

    tested = facts.gateway if facts.gateway and not facts.own_gateway else None
    head = _HEAD.format(
        command=f"{NAME} namespaces {name} --workers {workers}",
        istio=facts.istio,
        revision=facts.value("revision"),
        name=name,
        workers=workers,
        gateway=f" --istio-egress-gateway {tested.namespace}/{tested.service}" if tested else "",
        account=NAME,
    )
    config_maps = filter(None, (facts.config_map or MESH_CONFIG, facts.shared_config_map))
    roles: Sequence[Role] = (
        MESH_READS,
        control_plane_role(facts.control_plane, *config_maps),
        root_role(facts.control_plane),
        *([gateway_role(tested.namespace)] if tested else []),
        DIAGNOSIS_OF_PREPARED,
    )
    parts = [
        head + SERVICE_ACCOUNT.rstrip("\n"),
        *(yaml.safe_dump(each, sort_keys=False).rstrip("\n") for each in _namespaces(name, workers, facts)),
        role_text(PREPARED),
        *(binding_text(PREPARED, namespace) for namespace in all_namespaces(name, workers)),
        *(text for role in roles for text in (role_text(role), binding_text(role, role.namespace))),
    ]
    return "\n---\n".join(part.rstrip("\n") for part in parts) + "\n"


def _namespaces(name: str, workers: int, facts: MeshFacts) -> Iterable[dict[str, Any]]:
    from pytest_istio_egress.cluster.apply import load
    from pytest_istio_egress.cluster.mesh_names import MeshNames
    from pytest_istio_egress.cluster.names import Names
    from pytest_istio_egress.cluster.prepared_namespaces import prepared_documents
    from pytest_istio_egress.model.case import AMBIENT_FIXTURE
    from pytest_istio_egress.suite.discovery import fixtures_folder

    files = [file for file in sorted(fixtures_folder().glob("*.yaml")) if file.name != AMBIENT_FIXTURE]
    documents = [each for each in load(files) if each["kind"] == "Namespace"]
    return prepared_documents(documents, Names(name, "", mesh=MeshNames.of(facts)), workers)
