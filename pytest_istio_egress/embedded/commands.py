"""The commands `istio-egress cluster ...`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pytest_istio_egress.embedded.cluster import down, status, up
from pytest_istio_egress.embedded.debian_packages import MissingPackagesError
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.progress import progress_on
from pytest_istio_egress.embedded.spec import MESH_MODES, ClusterSpec, check_name
from pytest_istio_egress.embedded.state import State, cluster_names
from pytest_istio_egress.embedded.upgrade import upgrade
from pytest_istio_egress.embedded.versions import versions

ISTIO_HELP = (
    f"release of Istio, {' or '.join(sorted(versions().releases))}; or a tag such as 1.28.10, version or commit that "
    f"your Go module proxy serves (default: {versions().default_release.name} with the newest Envoy, or as it is)"
)


def register_cluster_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cluster` to the command line; each command sets `run`, which takes the arguments and returns a code."""
    cluster = commands.add_parser(
        "cluster", help="a real one-node cluster with Istio on this machine, without a way out"
    )
    verbs = cluster.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    start = verbs.add_parser("up", help="start it (the first time its parts are built) or find it running")
    start.add_argument("--install-packages", action="store_true", help="apt-get install what is missing")
    start.set_defaults(run=_up)
    change = verbs.add_parser(
        "upgrade", help="bring a running one to another Istio, Envoy or settings, as `up` has them"
    )
    change.set_defaults(run=_upgrade)
    for verb in (start, change):
        verb.add_argument("--istio", metavar="RELEASE", help=ISTIO_HELP)
        verb.add_argument(
            "--envoy", metavar="VERSION", help="version of upstream Envoy (default: what goes with Istio)"
        )
        verb.add_argument("--proxy-binary", metavar="PATH", type=_path, help="an Envoy of your own for Istio's proxies")
        verb.add_argument(
            "--compatibility",
            metavar="RELEASE",
            help="Istio's compatibilityVersion: istiod behaves as that release did, such as 1.28 (default: as its own)",
        )
        verb.add_argument("--mesh-mode", choices=MESH_MODES, default="REGISTRY_ONLY", help="default: %(default)s")
    verbs.add_parser("down", help="end it and remove all of it").set_defaults(run=_down)
    verbs.add_parser("status", help="tell how it is").set_defaults(run=_status)
    verbs.add_parser("kubeconfig", help="print the path of its kubeconfig").set_defaults(run=_kubeconfig)
    logs = verbs.add_parser("logs", help="print a component's log, or name the components")
    logs.add_argument("component", nargs="?")
    logs.set_defaults(run=_logs)
    for verb in verbs.choices.values():
        verb.add_argument("--name", default="default", help="which cluster (default: %(default)s)")


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _spec(arguments: argparse.Namespace) -> ClusterSpec:
    named = ("name", "istio", "envoy", "mesh_mode", "compatibility", "proxy_binary")
    return ClusterSpec(**{name: getattr(arguments, name) for name in named})


def _up(arguments: argparse.Namespace) -> int:
    spec = _spec(arguments)
    try:
        with progress_on(sys.stderr) as progress:
            cluster = up(spec, progress, install_packages=arguments.install_packages)
    except MissingPackagesError as error:
        raise EmbeddedError(f"{error}; --install-packages installs them", error.remedy) from error
    for note in cluster.notes:
        print(note)
    what = "started" if cluster.started else "already running"
    print(
        f"cluster {cluster.name} {what}: Kubernetes {cluster.kubernetes}, Istio {cluster.istio}, Envoy {cluster.envoy}"
    )
    print(f"export KUBECONFIG={cluster.kubeconfig} PATH={cluster.binaries}:$PATH")
    return 0


def _upgrade(arguments: argparse.Namespace) -> int:
    with progress_on(sys.stderr) as progress:
        cluster = upgrade(_spec(arguments), progress)
    for note in cluster.notes:
        print(note)
    print(f"cluster {cluster.name} upgraded: Istio {cluster.istio}, Envoy {cluster.envoy}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    print(f"cluster {arguments.name} {'ended' if down(arguments.name) else 'is not there'}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    names = sorted({arguments.name, *cluster_names()}) if arguments.name == "default" else [arguments.name]
    wanted = 1
    for name in names:
        found = status(name)
        if found.cluster:
            told = f"Kubernetes {found.cluster.kubernetes}, Istio {found.cluster.istio}, Envoy {found.cluster.envoy}"
            print(f"{name}: ready, {told}, kubeconfig {found.cluster.kubeconfig}")
            wanted = 0 if name == arguments.name else wanted
        else:
            print(f"{name}: {found.phase}{', ' + found.why if found.why else ''}")
    return wanted


def _kubeconfig(arguments: argparse.Namespace) -> int:
    found = status(arguments.name)
    if found.cluster is None:
        raise EmbeddedError(
            f"cluster {arguments.name} does not run", f"istio-egress cluster up --name {arguments.name}"
        )
    print(found.cluster.kubeconfig)
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    check_name(arguments.name)
    logs = State(arguments.name).logs
    names = sorted(file.stem for file in logs.glob("*.log")) if logs.is_dir() else []
    if not names:
        raise EmbeddedError(f"cluster {arguments.name} has no logs", f"istio-egress cluster up --name {arguments.name}")
    if arguments.component is None:
        print("\n".join(names))
        return 0
    if arguments.component not in names:
        raise EmbeddedError(f"no component {arguments.component!r}; there are {', '.join(names)}")
    with (logs / f"{arguments.component}.log").open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            print(line, end="")
    return 0
