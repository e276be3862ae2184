"""The command `istio-egress clean`: shows and deletes what ended runs left in a cluster."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_istio_egress.settings.kubeconfig import NoContextError, chosen_context
from pytest_istio_egress.settings.option import CONTEXT_HELP, KUBECONFIG_HELP

if TYPE_CHECKING:
    from pytest_istio_egress.cluster.run_lease import LeftoverRun


def register_clean_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `clean` to the command line; it sets `run`, which takes the arguments and returns the exit code."""
    clean = commands.add_parser("clean", help="Show what ended runs left in a cluster, and delete it")
    clean.add_argument("--kubeconfig", type=Path, metavar="PATH", help=KUBECONFIG_HELP)
    clean.add_argument("--context", metavar="NAME", help=CONTEXT_HELP)
    clean.add_argument("--run", dest="only", metavar="ID", help="Delete only this run, even if it is alive")
    clean.add_argument("--yes", action="store_true", help="Delete without confirmation")
    clean.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # Imported here: the kubernetes package takes most of a second, which `--help` would have to wait for.
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    from pytest_istio_egress.cluster.api import ClusterError, reason

    try:
        return _clean(arguments)
    except (ApiException, NoContextError, ClusterError, HTTPError) as error:
        print(f"istio-egress: {reason(error)}", file=sys.stderr)
        return 1


def _clean(arguments: argparse.Namespace) -> int:
    from pytest_istio_egress.cluster.api import Api
    from pytest_istio_egress.cluster.mesh import meshes
    from pytest_istio_egress.cluster.run_lease import leftover_runs, remove, restore_mesh_config

    kubeconfig, context = chosen_context(arguments.kubeconfig, arguments.context)
    api = Api.of_command(kubeconfig, context)
    leftovers = [run for run in leftover_runs(api) if arguments.only in (None, run.run)]
    _print_runs(leftovers)
    selected = [run for run in leftovers if arguments.only or not run.alive]
    changed = [config_map for config_map in meshes(api) if config_map.pending_restore() is not None]
    if changed:
        print("mesh configuration is modified: a test is running, or a killed run left it so")
    if not selected and not changed:
        print(f"nothing to delete in the cluster of context {context}")
        return 0
    if not arguments.yes and not _is_confirmed():
        print("nothing was deleted; add --yes to delete without confirmation")
        return 0
    for config_map in changed:
        restore_mesh_config(api, config_map, print)
    for run in selected:
        print(f"run {run.run}: deleted {', '.join(remove(api, run.run, say=print))}")
    return 0


def _print_runs(runs: Iterable[LeftoverRun]) -> None:
    for run in runs:
        state = "still running" if run.alive else "ended without cleanup"
        found = ", ".join([*run.namespaces, *map(str, run.elsewhere)])
        print(f"{'traffic' if run.traffic else 'run'} {run.run}, {state}: {found}")


def _is_confirmed() -> bool:
    """Ask for confirmation, where stdin is a terminal."""
    return sys.stdin.isatty() and input("delete what ended runs left? [y/N] ").strip().lower() in ("y", "yes")
