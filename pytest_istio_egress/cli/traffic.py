"""The command `istio-egress traffic`: starts steady egress traffic, reports its losses, stops it."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_istio_egress.model.case import DATA_PLANES
from pytest_istio_egress.model.placement import Placement
from pytest_istio_egress.settings.kubeconfig import NoContextError, chosen_context
from pytest_istio_egress.settings.option import CONTEXT_HELP, KUBECONFIG_HELP, Option
from pytest_istio_egress.settings.option_table import PLACEMENT_OPTIONS
from pytest_istio_egress.suite.discovery import fixtures_folder
from pytest_istio_egress.traffic.kinds import NAMES

if TYPE_CHECKING:
    from pytest_istio_egress.traffic.losses import Loss
    from pytest_istio_egress.traffic.workloads import Traffic

LOST, ERROR = 1, 2
"""Exit codes: `report` found more losses than allowed; an error."""


def register_traffic_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `traffic` and its subcommands to the command line."""
    traffic = commands.add_parser("traffic", help="Keep egress traffic going, and report what an upgrade loses of it")
    verbs = traffic.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    _add_start(verbs)
    _add_report(verbs)
    stop = verbs.add_parser("stop", help="Delete the traffic")
    stop.set_defaults(run=_run, act=_stop)
    for verb in verbs.choices.values():
        verb.add_argument("--kubeconfig", type=Path, metavar="PATH", help=KUBECONFIG_HELP)
        verb.add_argument("--context", metavar="NAME", help=CONTEXT_HELP)
        verb.add_argument("--name", metavar="NAME", default="steady", help="Name of the traffic. Default: %(default)s")


def _add_start(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    start = verbs.add_parser("start", help="Start client pods that send traffic of every kind, for at most a day")
    start.set_defaults(run=_run, act=_start)
    start.add_argument(
        "--revision", metavar="NAME", help="Istio revision or tag of the clients. Default: the mesh's default revision"
    )
    start.add_argument(
        "--data-plane",
        choices=DATA_PLANES,
        help="Clients with sidecars, in ambient namespaces, or both (an error without ambient mode). Default: those "
        "that the mesh has",
    )
    for option in PLACEMENT_OPTIONS:
        repeated = option.kind == "list"
        start.add_argument(
            f"--{option.name.replace('_', '-')}",
            type=checked(option),
            action="append" if repeated else "store",
            default=[] if repeated else option.default,
            metavar=option.metavar,
            help=option.help.replace("the run's", "its") + ". Can be repeated" * repeated,
        )


def _add_report(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = verbs.add_parser(
        "report", help="Report the losses of each kind, and when they happened. Exit code 1: more than allowed"
    )
    report.set_defaults(run=_run, act=_report)
    report.add_argument(
        "--since",
        type=_time,
        metavar="TIME",
        help="Start of the report, RFC 3339. Default: when all traffic had started",
    )
    report.add_argument("--until", type=_time, metavar="TIME", help="End of the report, RFC 3339. Default: now")
    report.add_argument(
        "--allow-lost",
        type=_allowed,
        action="append",
        default=[],
        metavar="[KIND=]NUMBER",
        help="Allowed losses of each kind, or of one kind. Default: 0. Can be repeated",
    )
    report.add_argument("--yaml", type=Path, metavar="PATH", help="Also write the report as YAML")
    report.add_argument("--markdown", type=Path, metavar="PATH", help="Also write the report as Markdown")


def _time(text: str) -> float:
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"invalid time {text!r}: use RFC 3339, such as 2026-11-21T13:05:00Z") from None
    return time.replace(tzinfo=time.tzinfo or datetime.UTC).timestamp()


def checked(option: Option) -> Callable[[str], str]:
    """Return an argument type that checks a value of one of pytest's options."""

    def value(text: str) -> str:
        if complaint := option.complaint(text):
            raise argparse.ArgumentTypeError(complaint)
        return text

    return value


def _allowed(text: str) -> tuple[str | None, int]:
    kind, equals, number = text.rpartition("=")
    if not number.isdigit():
        raise argparse.ArgumentTypeError(f"invalid value {text!r}: use NUMBER or KIND=NUMBER, such as tcp=1")
    if equals and kind not in NAMES:
        raise argparse.ArgumentTypeError(f"unknown kind {kind!r} (choose from {', '.join(NAMES)})")
    return (kind or None), int(number)


def _run(arguments: argparse.Namespace) -> int:
    # Imported here: the kubernetes package takes most of a second, which `--help` would have to wait for.
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    from pytest_istio_egress.cluster.api import Api, ClusterError, reason
    from pytest_istio_egress.traffic.observations import NoRecordError
    from pytest_istio_egress.traffic.workloads import Traffic

    try:
        kubeconfig, context = chosen_context(arguments.kubeconfig, arguments.context)
        traffic = Traffic(Api.of_command(kubeconfig, context), arguments.name, fixtures_folder() / "traffic")
        code: int = arguments.act(traffic, arguments)
    except NoRecordError:
        message = f"the clients of traffic {arguments.name} have not recorded anything yet"
    except (ApiException, NoContextError, ClusterError, HTTPError, OSError) as error:
        message = reason(error)
    else:
        return code
    print(f"istio-egress: {message}", file=sys.stderr)
    return ERROR


def _start(traffic: Traffic, arguments: argparse.Namespace) -> int:
    placement = Placement.from_options(**{option.name: getattr(arguments, option.name) for option in PLACEMENT_OPTIONS})
    traffic.start(print, arguments.revision, arguments.data_plane, placement)
    print(f"traffic {arguments.name} started; `istio-egress traffic report --name {arguments.name}` reports its losses")
    return 0


def _stop(traffic: Traffic, arguments: argparse.Namespace) -> int:
    print(f"traffic {arguments.name}: deleted {', '.join(traffic.stop(print))}")
    return 0


def _report(traffic: Traffic, arguments: argparse.Namespace) -> int:
    from pytest_istio_egress.traffic import page
    from pytest_istio_egress.traffic.losses import losses, silent_clients

    started = traffic.since()
    record = traffic.record() if arguments.until else traffic.complete_record()
    since = max(started, arguments.since or started, record.begins)
    until = min(arguments.until or record.ends, record.ends)
    by_kind, silent = losses(record, since, until), silent_clients(record, until)
    print(f"traffic {arguments.name} from {page.moment(since)} to {page.moment(until)}")
    print(page.text(by_kind, silent), end="")
    if arguments.yaml:
        arguments.yaml.write_text(page.document(by_kind, silent, since, until), encoding="utf-8")
    if arguments.markdown:
        arguments.markdown.write_text(page.markdown(by_kind, silent), encoding="utf-8")
    problems = excess(by_kind, dict(arguments.allow_lost))
    if silent:
        problems.append("a client stopped reporting")
    if not by_kind:
        problems.append("no requests were sent in that time")
    if problems:
        print(f"more than allowed: {', '.join(problems)}")
    return LOST if problems else 0


def excess(losses: Sequence[Loss], allowed: Mapping[str | None, int]) -> list[str]:
    """Return a text for each kind with more losses than allowed (by kind, None for every other kind)."""
    limits = {loss.kind.name: allowed.get(loss.kind.name, allowed.get(None, 0)) for loss in losses}
    return [f"{loss.kind.name} lost {loss.lost}" for loss in losses if loss.lost > limits[loss.kind.name]]
