"""The command `istio-egress traffic`: start steady egress traffic, report what was lost of it, stop it."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_istio_egress.model.placement import Placement
from pytest_istio_egress.settings.kubeconfig import NoContextError, chosen_context
from pytest_istio_egress.settings.option_table import PLACEMENT_OPTIONS, Option
from pytest_istio_egress.suite.discovery import fixtures_folder
from pytest_istio_egress.traffic.kinds import NAMES

if TYPE_CHECKING:
    from pytest_istio_egress.traffic.losses import Loss
    from pytest_istio_egress.traffic.workloads import Traffic

LOST, CANNOT_TELL = 1, 2
"""Exit codes of `report`: more was lost than is allowed; or it can't be told."""


def register_traffic_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `traffic` and what it can do to the command line."""
    traffic = commands.add_parser("traffic", help="steady egress traffic, and what an upgrade loses of it")
    verbs = traffic.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    start = verbs.add_parser("start", help="keep traffic of every kind going from client pods, for a day at most")
    start.set_defaults(run=_run, act=_start)
    start.add_argument("--revision", metavar="NAME", help="control plane of the clients; default: the mesh's default")
    for option in PLACEMENT_OPTIONS:
        start.add_argument(
            f"--{option.name.replace('_', '-')}",
            type=checked(option),
            action="append",
            default=[],
            metavar=option.metavar,
            help=option.help.replace("the run's", "its") + "; can be given again",
        )
    report = verbs.add_parser(
        "report", help="tell what was lost of each kind, and when; exit code 1 if more than allowed"
    )
    report.set_defaults(run=_run, act=_report)
    report.add_argument("--since", type=_moment, metavar="TIME", help="RFC 3339; default: when it had started")
    report.add_argument("--until", type=_moment, metavar="TIME", help="RFC 3339; default: now")
    report.add_argument(
        "--allow-lost",
        type=_allowed,
        action="append",
        default=[],
        metavar="[KIND=]NUMBER",
        help="how many of each kind, or of one kind, may be lost (default 0); can be given again",
    )
    report.add_argument("--yaml", type=Path, metavar="PATH", help="write it for programs, too")
    report.add_argument("--markdown", type=Path, metavar="PATH", help="write it for a page, too")
    stop = verbs.add_parser("stop", help="remove it")
    stop.set_defaults(run=_run, act=_stop)
    for verb in (start, report, stop):
        verb.add_argument("--kubeconfig", type=Path, help="default: the usual one")
        verb.add_argument("--context", help="default: the current one")
        verb.add_argument("--name", default="steady", help="tells several apart (default: steady)")


def _moment(text: str) -> float:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-11-21T13:05:00Z") from None
    return found.replace(tzinfo=found.tzinfo or datetime.UTC).timestamp()


def checked(option: Option) -> Callable[[str], str]:
    """Return what takes a value of one of the suite's options, and refuses it in the suite's words."""

    def word(text: str) -> str:
        if wrong := option.complaint(text):
            raise argparse.ArgumentTypeError(wrong)
        return text

    return word


def _allowed(text: str) -> tuple[str | None, int]:
    kind, equals, number = text.rpartition("=")
    if not number.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number such as 0, or tcp=1")
    if equals and kind not in NAMES:
        raise argparse.ArgumentTypeError(f"there is no kind {kind!r}; there are {', '.join(NAMES)}")
    return (kind or None), int(number)


def _run(arguments: argparse.Namespace) -> int:
    # Imported here: the kubernetes package takes most of a second, and `--help` shall not.
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    from pytest_istio_egress.cluster.api import Api, ClusterError, reason
    from pytest_istio_egress.traffic.observations import NoRecordError
    from pytest_istio_egress.traffic.workloads import Traffic

    try:
        kubeconfig, context = chosen_context(arguments.kubeconfig, arguments.context)
        traffic = Traffic(Api(kubeconfig, context), arguments.name, fixtures_folder() / "traffic")
        code: int = arguments.act(traffic, arguments)
    except ApiException as error:
        why = reason(error)
    except NoRecordError:
        why = f"the clients of traffic {arguments.name} have recorded nothing"
    except (NoContextError, ClusterError, HTTPError, OSError) as error:
        why = " ".join(str(error).split())
    else:
        return code
    sys.stderr.write(f"istio-egress: {why}\n")
    return CANNOT_TELL


def _start(traffic: Traffic, arguments: argparse.Namespace) -> int:
    placement = Placement.from_options(**{option.name: getattr(arguments, option.name) for option in PLACEMENT_OPTIONS})
    traffic.start(print, arguments.revision, placement)
    print(f"traffic {arguments.name} goes on; `istio-egress traffic report --name {arguments.name}` tells what is lost")
    return 0


def _stop(traffic: Traffic, arguments: argparse.Namespace) -> int:
    print(f"traffic {arguments.name}: removed {', '.join(traffic.stop(print))}")
    return 0


def _report(traffic: Traffic, arguments: argparse.Namespace) -> int:
    from pytest_istio_egress.traffic import page
    from pytest_istio_egress.traffic.losses import losses, missed

    started = traffic.since()
    record = traffic.record() if arguments.until else traffic.complete_record()
    since = max(started, arguments.since or started, record.begins)
    until = min(arguments.until or record.ends, record.ends)
    found, silent = losses(record, since, until), missed(record, until)
    print(f"traffic {arguments.name} from {page.moment(since)} to {page.moment(until)}")
    print(page.text(found, silent), end="")
    if arguments.yaml:
        arguments.yaml.write_text(page.document(found, silent, since, until), encoding="utf-8")
    if arguments.markdown:
        arguments.markdown.write_text(page.markdown(found, silent), encoding="utf-8")
    too_much = over(found, dict(arguments.allow_lost))
    if silent:
        too_much.append("a client fell silent")
    if not found:
        too_much.append("nothing was asked in that time")
    if too_much:
        print(f"more than allowed: {', '.join(too_much)}")
    return LOST if too_much else 0


def over(found: Sequence[Loss], allowed: Mapping[str | None, int]) -> list[str]:
    """Return, in words, what was lost beyond what is allowed (by kind; None: of every other kind)."""
    most = {loss.kind.name: allowed.get(loss.kind.name, allowed.get(None, 0)) for loss in found}
    return [f"{loss.kind.name} lost {loss.lost}" for loss in found if loss.lost > most[loss.kind.name]]
