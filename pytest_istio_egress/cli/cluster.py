"""The commands `istio-egress cluster ...`, which start and stop embedded clusters.

The embedded cluster is imported by the commands themselves, so that `istio-egress --help` works without its libraries.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_istio_egress.embedded.spec import ClusterSpec


def register_cluster_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cluster` to the command line; each command sets `run` and `act`, which return the exit code."""
    cluster = commands.add_parser(
        "cluster", help="Manage a one-node cluster with Istio on this machine, without internet access"
    )
    verbs = cluster.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    for verb in (_add_up(verbs), _add_upgrade(verbs)):
        _add_versions(verb)
    verbs.add_parser("down", help="Stop and delete the cluster").set_defaults(run=_run, act=_down)
    verbs.add_parser("status", help="Print the state of the cluster").set_defaults(run=_run, act=_status)
    verbs.add_parser("kubeconfig", help="Print the path of the kubeconfig").set_defaults(run=_run, act=_kubeconfig)
    logs = verbs.add_parser("logs", help="Print the log of a component, or list the components")
    logs.add_argument("component", nargs="?")
    logs.set_defaults(run=_run, act=_logs)
    for verb in verbs.choices.values():
        verb.add_argument("--name", metavar="NAME", default="default", help="Name of the cluster. Default: %(default)s")


def _add_up(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    start = verbs.add_parser("up", help="Start the cluster (and build it, the first time) unless it is running")
    start.add_argument("--install-packages", action="store_true", help="Install missing Debian packages")
    start.add_argument(
        "--ip-family",
        metavar="{ipv4,ipv6,dual}",
        type=_ip_family,
        default="ipv4",
        help="IP family of pods and Services: ipv4 (default), ipv6, or dual (both, IPv4 first)",
    )
    start.add_argument("--ambient", action="store_true", help="Install Istio's ambient mode besides; needs --ztunnel")
    start.add_argument(
        "--ztunnel",
        metavar="PATH",
        type=_path,
        help="Your ztunnel binary (on no package registry): your own build, or the file of Istio's image",
    )
    start.set_defaults(run=_run, act=_up)
    return start


def _add_upgrade(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    change = verbs.add_parser("upgrade", help="Change Istio, Envoy or Istio's settings of a running cluster")
    change.add_argument(
        "--revision",
        metavar="NAME",
        help="Install it as a second revision beside the running Istio, which stays as it is, for a canary upgrade",
    )
    change.set_defaults(run=_run, act=_upgrade)
    return change


def _add_versions(verb: argparse.ArgumentParser) -> None:
    """Add the options for versions and settings of Istio and Envoy, which an upgrade can change."""
    verb.add_argument(
        "--istio",
        metavar="RELEASE",
        help="Release of Istio (1.30, 1.31), or a tag such as 1.28.10, a version or a commit that your Go module "
        "proxy serves. Default: 1.31 with the newest Envoy; for upgrade, as it is",
    )
    verb.add_argument(
        "--envoy", metavar="VERSION", help="Release of upstream Envoy. Default: the one that belongs to Istio"
    )
    verb.add_argument("--proxy-binary", metavar="PATH", type=_path, help="Your own Envoy binary for the proxies")
    verb.add_argument(
        "--compatibility", metavar="RELEASE", help="Istio's compatibilityVersion, such as 1.28. Default: none"
    )
    verb.add_argument(
        "--mesh-mode",
        type=_mesh_mode,
        metavar="MODE",
        default="REGISTRY_ONLY",
        help="outboundTrafficPolicy of the mesh: REGISTRY_ONLY (default) or ALLOW_ANY",
    )


def _path(value: str) -> Path:
    return Path(value).expanduser().absolute()


def _spec(arguments: argparse.Namespace) -> ClusterSpec:
    from pytest_istio_egress.embedded.spec import ClusterSpec

    names = ("name", "istio", "envoy", "mesh_mode", "compatibility", "proxy_binary", "ip_family", "ambient", "ztunnel")
    return ClusterSpec(**{name: value for name, value in vars(arguments).items() if name in names})


def _mesh_mode(value: str) -> str:
    from pytest_istio_egress.embedded.spec import MESH_MODES

    if value not in MESH_MODES:
        raise argparse.ArgumentTypeError(f"invalid choice: {value!r} (choose from {', '.join(MESH_MODES)})")
    return value


def _ip_family(value: str) -> str:
    from pytest_istio_egress.embedded.spec import IP_FAMILIES

    if value not in IP_FAMILIES:
        raise argparse.ArgumentTypeError(f"invalid choice: {value!r} (choose from {', '.join(IP_FAMILIES)})")
    return value


def _run(arguments: argparse.Namespace) -> int:
    from pytest_istio_egress.embedded.errors import EmbeddedError

    act: Callable[[argparse.Namespace], int] = arguments.act
    try:
        return act(arguments)
    except EmbeddedError as error:
        print(f"istio-egress: {error}", file=sys.stderr)
        if error.remedy:
            print(f"  hint: {error.remedy}", file=sys.stderr)
        return 1


def _up(arguments: argparse.Namespace) -> int:
    from pytest_istio_egress.embedded.cluster import up
    from pytest_istio_egress.embedded.debian_packages import MissingPackagesError
    from pytest_istio_egress.embedded.errors import EmbeddedError
    from pytest_istio_egress.embedded.progress import progress_on

    try:
        with progress_on(sys.stderr) as progress:
            cluster = up(_spec(arguments), progress, install_packages=arguments.install_packages)
    except MissingPackagesError as error:
        raise EmbeddedError(f"{error}; --install-packages installs them", error.remedy) from error
    for note in cluster.notes:
        print(note)
    state = "started" if cluster.started else "already running"
    print(
        f"cluster {cluster.name} {state}: Kubernetes {cluster.kubernetes}, Istio {cluster.istio}, Envoy {cluster.envoy}"
    )
    print(f"export KUBECONFIG={cluster.kubeconfig} PATH={cluster.binaries}:$PATH")
    return 0


def _upgrade(arguments: argparse.Namespace) -> int:
    from pytest_istio_egress.embedded.progress import progress_on
    from pytest_istio_egress.embedded.upgrade import add_revision, upgrade

    spec = _spec(arguments)
    with progress_on(sys.stderr) as progress:
        cluster = add_revision(spec, arguments.revision, progress) if arguments.revision else upgrade(spec, progress)
    for note in cluster.notes:
        print(note)
    if arguments.revision:
        print(f"cluster {cluster.name} has the revision {arguments.revision} beside Istio {cluster.istio}")
        return 0
    print(f"cluster {cluster.name} upgraded: Istio {cluster.istio}, Envoy {cluster.envoy}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    from pytest_istio_egress.embedded.cluster import down

    print(f"cluster {arguments.name} {'stopped' if down(arguments.name) else 'does not exist'}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from pytest_istio_egress.embedded.cluster import status
    from pytest_istio_egress.embedded.state import cluster_names

    names = sorted({arguments.name, *cluster_names()}) if arguments.name == "default" else [arguments.name]
    code = 1
    for name in names:
        state = status(name)
        if state.cluster:
            versions = (
                f"Kubernetes {state.cluster.kubernetes}, Istio {state.cluster.istio}, Envoy {state.cluster.envoy}"
            )
            print(f"{name}: ready, {versions}, kubeconfig {state.cluster.kubeconfig}")
            code = 0 if name == arguments.name else code
        else:
            print(f"{name}: {state.phase}{', ' + state.why if state.why else ''}")
    return code


def _kubeconfig(arguments: argparse.Namespace) -> int:
    from pytest_istio_egress.embedded.cluster import status
    from pytest_istio_egress.embedded.errors import EmbeddedError

    cluster = status(arguments.name).cluster
    if cluster is None:
        raise EmbeddedError(
            f"cluster {arguments.name} is not running", f"istio-egress cluster up --name {arguments.name}"
        )
    print(cluster.kubeconfig)
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    from pytest_istio_egress.embedded.errors import EmbeddedError
    from pytest_istio_egress.embedded.spec import check_name
    from pytest_istio_egress.embedded.state import State

    check_name(arguments.name)
    logs = State(arguments.name).logs
    names = sorted(file.stem for file in logs.glob("*.log")) if logs.is_dir() else []
    if not names:
        raise EmbeddedError(f"cluster {arguments.name} has no logs", f"istio-egress cluster up --name {arguments.name}")
    if arguments.component is None:
        print("\n".join(names))
        return 0
    if arguments.component not in names:
        raise EmbeddedError(f"unknown component {arguments.component!r} (choose from {', '.join(names)})")
    with (logs / f"{arguments.component}.log").open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            print(line, end="")
    return 0
