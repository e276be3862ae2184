"""The command `istio-egress doctor`: what a run could test in a cluster, and why not the rest, without testing it."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_istio_egress.cli.exit_codes import UNUSABLE, USAGE
from pytest_istio_egress.settings.option import EMBEDDED, Option
from pytest_istio_egress.settings.option_table import OPTIONS, Settings

if TYPE_CHECKING:
    from pytest_istio_egress.run_target import Prepared

_OF_TESTS = frozenset({"target", "require", "profile", "report", "html", "baseline", "known_deviations"})
"""Options that say which tests run and where their results go."""
_ASKED = tuple(option for option in OPTIONS if option.only_for != EMBEDDED and option.name not in _OF_TESTS)


def register_doctor_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor` to the command line; it sets `run`, which takes the arguments and returns the exit code."""
    doctor = commands.add_parser(
        "doctor",
        help="Show what the suite can test in a cluster, and why not the rest",
        description="Detects the mesh, checks permissions, and tries the objects of a run by dry runs, as a run does "
        "before its first test. One namespace is created for the dry runs, and deleted.",
        epilog="exit codes: 0 tests can run; 3 none can, with the reason; 4 no cluster is configured",
    )
    for option in _ASKED:
        _add(doctor, option)
    doctor.set_defaults(run=_run)


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    flag = f"--{option.name.replace('_', '-')}"
    if option.kind == "flag":
        parser.add_argument(flag, action="store_true", help=option.help)
        return
    repeated = option.kind == "list"
    parser.add_argument(
        flag,
        type={"path": Path, "factor": float}.get(option.kind, str),
        action="append" if repeated else "store",
        default=None,
        metavar=option.metavar,
        help=option.help + ". Can be repeated" * repeated,
    )


def settings_of(arguments: Mapping[str, Any]) -> Settings:
    """Return the settings of a run with these options; raises argparse.ArgumentTypeError for an invalid value."""
    values: dict[str, Any] = {option.name: option.default for option in OPTIONS}
    places = dict.fromkeys(values, "default")
    for option in _ASKED:
        given = arguments[option.name]
        if given is None or given is False:
            continue
        for value in given if option.kind == "list" else [given]:
            if complaint := option.complaint(str(value)):
                raise argparse.ArgumentTypeError(f"--{option.name.replace('_', '-')}: {complaint}")
        values[option.name] = tuple(given) if option.kind == "list" else given
        places[option.name] = "command line"
    return Settings(**values, places=places)


def _run(arguments: argparse.Namespace) -> int:
    # Imported here: the kubernetes package takes most of a second, which `--help` would have to wait for.
    from pytest_istio_egress.run_target import NoClusterError, TargetError, new_run
    from pytest_istio_egress.run_target.mesh_detection import look_beforehand
    from pytest_istio_egress.run_target.selection import prepare

    try:
        settings = settings_of(vars(arguments))
        prepared = prepare(settings, settings.prepared or new_run(), print)
        prepared = look_beforehand(prepared, settings, print)
    except (NoClusterError, argparse.ArgumentTypeError) as error:
        print(f"istio-egress: {error}", file=sys.stderr)
        return USAGE
    except TargetError as error:
        print(f"istio-egress: {error}", file=sys.stderr)
        return UNUSABLE
    for line in report(prepared, settings):
        print(line)
    return 0


def report(prepared: Prepared, settings: Settings) -> Iterator[str]:
    """Yield the lines about the mesh, and a table: each area with its tests and how many can run, then the reasons."""
    from pytest_istio_egress.run_target.description import after_detection
    from pytest_istio_egress.run_target.runnable_cases import why_not_runnable
    from pytest_istio_egress.suite.discovery import shipped_cases, suite_folder

    yield from (line.removeprefix("istio-egress: ") for line in after_detection(prepared))
    tests: Counter[str] = Counter()
    can_run: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for shipped in shipped_cases(suite_folder()):
        if shipped.case is None:
            continue
        tests[shipped.case.folder.name] += 1
        why = why_not_runnable(shipped.case, prepared, runs_mesh_wide=settings.runs_mesh_wide)
        can_run[shipped.case.folder.name] += not why
        reasons.update([why] if why else [])
    width = max(map(len, tests), default=0)
    yield ""
    yield f"{'area':{width}}  tests  can run"
    yield from (f"{area:{width}}  {number:5}  {can_run[area]:7}" for area, number in tests.items())
    yield f"{'all':{width}}  {tests.total():5}  {can_run.total():7}"
    yield from (f"{number} cannot run: {why}" for why, number in reasons.most_common())
