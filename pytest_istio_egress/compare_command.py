"""The command `istio-egress compare`: two conformance reports beside each other, and a verdict for CI."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

CANNOT_COMPARE = 2
"""The exit code where an input can't be read or a page can't be written."""


def register_compare_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `compare` to the command line; it sets `run`, which takes the arguments and returns a code."""
    compare = commands.add_parser(
        "compare",
        help="compare two reports of pytest --istio-egress --istio-egress-report",
        description="Say what differs between two runs. Exit code: 0, or 1 where there is anything of --fail-on, "
        "or 2 where a report can't be read.",
    )
    compare.add_argument("before", type=Path, metavar="BEFORE.yaml")
    compare.add_argument("after", type=Path, metavar="AFTER.yaml")
    compare.add_argument(
        "--fail-on",
        type=_kinds,
        default=("worse", "gone"),
        metavar="KINDS",
        help="what makes the exit code 1: any of worse,gone,changed,new,better, or none (default: worse,gone)",
    )
    compare.add_argument("--markdown", type=Path, metavar="FILE", help="also write the comparison as Markdown")
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
    from pytest_istio_egress.report.comparison_text import markdown_text, terminal_lines
    from pytest_istio_egress.report.reading import UnreadableError, read_report
    from pytest_istio_egress.report.run_comparison import compare_runs, differences_about
    from pytest_istio_egress.report.written import NotWrittenError, write_whole

    try:
        before, after = read_report(arguments.before), read_report(arguments.after)
        changes, about = compare_runs(before, after), differences_about(before, after)
        for line in terminal_lines(changes, about, shutil.get_terminal_size().columns):
            print(line)
        if arguments.markdown:
            write_whole(arguments.markdown, markdown_text(changes, about))
    except (UnreadableError, NotWrittenError) as error:
        sys.stderr.write(f"istio-egress: {error}\n")
        return CANNOT_COMPARE
    return int(any(change.kind in arguments.fail_on for change in changes))
