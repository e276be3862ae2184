"""The command `istio-egress explain`: the way that a request takes, and which resource decides each part of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pytest_istio_egress.cli.exit_codes import UNUSABLE, USAGE
from pytest_istio_egress.model.probe import DEFAULT_PORTS, WORKLOAD_KINDS
from pytest_istio_egress.settings.kubeconfig import NoContextError, chosen_context
from pytest_istio_egress.settings.option import CONTEXT_HELP, KUBECONFIG_HELP


def register_explain_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `explain` to the command line; it sets `run`, which takes the arguments and returns the exit code."""
    explain = commands.add_parser(
        "explain",
        help="Show the way of a request through the proxies, and which resource decides each part",
        description="Reads the configuration of the client's sidecar and of the egress gateway on the way (in ambient "
        "mode: of its ztunnel and the waypoint), and Istio's resources. Nothing is sent, and nothing in the cluster is "
        "changed.",
        epilog="exit codes: 0 the way is shown, whether the request works or not; 3 the cluster or the workload cannot "
        "be used; 4 no cluster is configured",
    )
    explain.add_argument("--kubeconfig", type=Path, metavar="PATH", help=KUBECONFIG_HELP)
    explain.add_argument("--context", metavar="NAME", help=CONTEXT_HELP)
    explain.add_argument("--revision", metavar="NAME", help="Istio revision. Default: the mesh's default revision")
    explain.add_argument(
        "--from",
        dest="client",
        required=True,
        type=workload,
        metavar="NAMESPACE/KIND/NAME",
        help="Workload that sends the request, such as payments/deployment/payments",
    )
    explain.add_argument("url", type=url, metavar="URL", help="Such as https://api.example.com/v1 or tcp://host:5432")
    explain.set_defaults(run=_run)


def workload(text: str) -> tuple[str, str]:
    """Return namespace and `<kind>/<name>`; raises argparse.ArgumentTypeError for any other text."""
    namespace, _, rest = text.partition("/")
    kind, _, name = rest.partition("/")
    if kind not in WORKLOAD_KINDS or not namespace or not name or "/" in name:
        kinds = ", ".join(WORKLOAD_KINDS)
        raise argparse.ArgumentTypeError(f"invalid workload {text!r}: use NAMESPACE/KIND/NAME (KIND is one of {kinds})")
    return namespace, rest


def url(text: str) -> SplitResult:
    """Return the parts of a URL; raises argparse.ArgumentTypeError for one without host or port."""
    try:
        parts = urlsplit(text)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        parts, port = urlsplit(""), None
    if not parts.hostname or port is None:
        raise argparse.ArgumentTypeError(f"invalid URL {text!r}: use http://HOST/, https://HOST/ or tcp://HOST:PORT")
    return parts


def _run(arguments: argparse.Namespace) -> int:
    # Imported here: the kubernetes package takes most of a second, which `--help` would have to wait for.
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    from pytest_istio_egress.cluster.api import Api, ClusterError, reason
    from pytest_istio_egress.cluster.facts.table import FactOverrides
    from pytest_istio_egress.cluster.inspection.explanation import explain
    from pytest_istio_egress.cluster.mesh import Mesh
    from pytest_istio_egress.model.case import InvalidTestError

    namespace, client = arguments.client
    try:
        kubeconfig, context = chosen_context(arguments.kubeconfig, arguments.context)
        api = Api.of_command(kubeconfig, context)
        mesh = Mesh(api, overrides=FactOverrides(revision=arguments.revision))
        explanation = explain(api, mesh.facts, client, namespace, arguments.url)
    except NoContextError as error:
        print(f"istio-egress: {error}", file=sys.stderr)
        return USAGE
    except InvalidTestError:
        print(f"istio-egress: namespace {namespace} has no {client.replace('/', ' ')}", file=sys.stderr)
        return UNUSABLE
    except (ApiException, ClusterError, HTTPError) as error:
        print(f"istio-egress: {reason(error)}", file=sys.stderr)
        return UNUSABLE
    print("\n".join(explanation.lines()))
    return 0
