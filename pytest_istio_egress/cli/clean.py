"""The command `istio-egress clean`: show what runs left in a cluster, and remove it when told to."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pytest_istio_egress.settings.kubeconfig import NoContextError, chosen_context


def register_clean_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `clean` to the command line; it sets `run`, which takes the arguments and returns a code."""
    clean = commands.add_parser("clean", help="show what ended runs left in a cluster, and remove it when told to")
    clean.add_argument("--kubeconfig", type=Path, help="default: the usual one")
    clean.add_argument("--context", help="default: the current one")
    clean.add_argument("--run", dest="only", metavar="ID", help="only this run, even if it seems to be alive")
    clean.add_argument("--yes", action="store_true", help="remove what is shown without asking")
    clean.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # Imported here: the kubernetes package takes most of a second, and `--help` shall not.
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    from pytest_istio_egress.cluster.api import ClusterError, reason

    try:
        return _clean(arguments)
    except ApiException as error:
        why = reason(error)
    except (NoContextError, ClusterError, HTTPError) as error:
        why = " ".join(str(error).split())
    sys.stderr.write(f"istio-egress: {why}\n")
    return 1


def _clean(arguments: argparse.Namespace) -> int:
    from pytest_istio_egress.cluster.api import Api
    from pytest_istio_egress.cluster.mesh import meshes
    from pytest_istio_egress.cluster.run_lease import restore_mesh_config, leftover_runs, remove

    kubeconfig, context = chosen_context(arguments.kubeconfig, arguments.context)
    api = Api(kubeconfig, context)
    found = [left for left in leftover_runs(api) if arguments.only in (None, left.run)]
    for left in found:
        state = "still running" if left.alive else "ended without cleaning up"
        print(f"{'traffic' if left.traffic else 'run'} {left.run}, {state}: {', '.join(left.namespaces)}")
    chosen = [left for left in found if arguments.only or not left.alive]
    changed = [settings for settings in meshes(api) if settings.pending_restore() is not None]
    if changed:
        print("the mesh's own configuration is changed for a case, or was by a run that was killed since")
    if not chosen and not changed:
        print(f"nothing to remove in the cluster of context {context}")
        return 0
    if not arguments.yes and not _agreed():
        print("nothing was changed; to remove what is shown without being asked, add --yes")
        return 0
    for settings in changed:
        restore_mesh_config(api, settings, print)
    for left in chosen:
        removed = remove(api, left.run, say=print)
        print(f"run {left.run}: removed {', '.join(removed)}")
    return 0


def _agreed() -> bool:
    """Ask whether to remove what was shown, where there is somebody to ask."""
    return sys.stdin.isatty() and input("remove what ended runs left? [y/N] ").strip().lower() in ("y", "yes")
