"""The command `istio-egress compare`: two conformance reports beside each other, and a verdict for CI."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

NO_VERDICT = 2
"""The exit code where an input can't be read or says nothing, or a page can't be written."""


def register_compare_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `compare` to the command line; it sets `run`, which takes the arguments and returns a code."""
    compare = commands.add_parser(
        "compare",
        help="compare two reports of pytest --istio-egress --istio-egress-report",
        description="Say what got worse, is gone, changed though still right (exit 52 where 56 was, another header, "
        "a time outside the noise), is new, or got better between two runs.",
        epilog="exit codes: 0 nothing of --fail-on; 1 something of it; 2 no verdict: a report can't be read, both are "
        "of the same run, AFTER was stopped before its end, or a page can't be written",
    )
    compare.add_argument("before", type=Path, metavar="BEFORE.yaml", help="the report of the earlier run")
    compare.add_argument("after", type=Path, metavar="AFTER.yaml", help="the report of the later run")
    compare.add_argument(
        "--fail-on",
        type=_kinds,
        default=("worse", "gone"),
        metavar="KINDS",
        help="what makes the exit code 1: any of worse,gone,changed,new,better, or none (default: worse,gone)",
    )
    compare.add_argument("--markdown", type=Path, metavar="FILE", help="also write the comparison as Markdown")
    compare.add_argument("--html", type=Path, metavar="FILE", help="also write it as one HTML page with filters")
    compare.set_defaults(run=_run)


def _kinds(text: str) -> tuple[str, ...]:
    known = ("worse", "gone", "changed", "new", "better")
    chosen = tuple(word.strip() for word in text.split(",") if word.strip())
    if chosen == ("none",):
        return ()
    wrong = [word for word in chosen if word not in known]
    if wrong or not chosen:
        raise argparse.ArgumentTypeError(f"{', '.join(wrong) or 'nothing'} is none of {', '.join(known)}, none")
    return chosen


def _run(arguments: argparse.Namespace) -> int:
    # Imported here: YAML need not be loaded for `--help`, nor for the other commands.
    from pytest_istio_egress.report.atomic_write import NotWrittenError, write_whole
    from pytest_istio_egress.report.comparison import compare_runs, differences_about, same_run
    from pytest_istio_egress.report.comparison_page import comparison_page
    from pytest_istio_egress.report.comparison_text import markdown_text, terminal_lines, verdict
    from pytest_istio_egress.report.reader import UnreadableError, read_report

    try:
        before, after = read_report(arguments.before), read_report(arguments.after)
        if same_run(before, after):
            return _refuse(f"{arguments.before} and {arguments.after} are of the same run: nothing could ever differ")
        changes, about = compare_runs(before, after), differences_about(before, after)
        code = int(any(change.kind in arguments.fail_on for change in changes))
        told = verdict(changes, arguments.fail_on)
        for line in [*terminal_lines(changes, about, shutil.get_terminal_size().columns), told]:
            print(line)
        if arguments.markdown:
            write_whole(arguments.markdown, markdown_text(changes, [*about, told]))
        if arguments.html:
            write_whole(arguments.html, comparison_page(changes, about, told))
    except (UnreadableError, NotWrittenError) as error:
        return _refuse(str(error))
    if not after.info.complete:
        return _refuse(
            f"{arguments.after} is of a run that was stopped before its end, so this is no verdict: repeat it"
        )
    return code


def _refuse(why: str) -> int:
    sys.stderr.write(f"istio-egress: {why}\n")
    return NO_VERDICT
