"""The command `istio-egress compare`: compares two conformance reports, with an exit code for CI."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

NO_VERDICT = 2
"""The exit code where a report cannot be read or compared, or a page cannot be written."""


def register_compare_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `compare` to the command line; it sets `run`, which takes the arguments and returns a code."""
    compare = commands.add_parser(
        "compare",
        help="Compare two reports of pytest --istio-egress --istio-egress-report",
        description="Compare the results of two runs, parameter by parameter. Each change is worse, gone (not part of "
        "the later run), changed (with the same result: another response flag, a new header, a different duration), "
        "new, or better.",
        epilog="exit codes: 0 no change of a kind in --fail-on; 1 at least one; 2 no comparison: a report cannot be "
        "read, both are of the same run, AFTER is from an interrupted run, or a page cannot be written",
    )
    compare.add_argument("before", type=Path, metavar="BEFORE.yaml", help="Report of the earlier run")
    compare.add_argument("after", type=Path, metavar="AFTER.yaml", help="Report of the later run")
    compare.add_argument(
        "--fail-on",
        type=_kinds,
        default=("worse", "gone"),
        metavar="KINDS",
        help="Kinds of changes that set exit code 1: any of worse,gone,changed,new,better, or none. "
        "Default: worse,gone",
    )
    compare.add_argument("--markdown", type=Path, metavar="FILE", help="Also write the comparison as Markdown")
    compare.add_argument(
        "--html", type=Path, metavar="FILE", help="Also write it as a self-contained HTML page with filters"
    )
    compare.set_defaults(run=_run)


def _kinds(text: str) -> tuple[str, ...]:
    kinds = ("worse", "gone", "changed", "new", "better")
    chosen = tuple(name.strip() for name in text.split(",") if name.strip())
    if chosen == ("none",):
        return ()
    unknown = [name for name in chosen if name not in kinds]
    if unknown or not chosen:
        raise argparse.ArgumentTypeError(
            f"unknown kind {', '.join(map(repr, unknown)) or repr(text)} (choose from {', '.join(kinds)}, none)"
        )
    return chosen


def _run(arguments: argparse.Namespace) -> int:
    # Imported here: `--help` and the other commands need no YAML.
    from pytest_istio_egress.report.atomic_write import NotWrittenError, write_whole
    from pytest_istio_egress.report.comparison import compare_runs, environment_changes, same_run
    from pytest_istio_egress.report.comparison_page import comparison_page
    from pytest_istio_egress.report.comparison_text import markdown_text, terminal_lines, verdict
    from pytest_istio_egress.report.reader import UnreadableError, read_report

    try:
        before, after = read_report(arguments.before), read_report(arguments.after)
        if same_run(before, after):
            return _fail(f"{arguments.before} and {arguments.after} are reports of the same run; pass two runs")
        changes, environment = compare_runs(before, after), environment_changes(before, after)
        code = int(any(change.kind in arguments.fail_on for change in changes))
        line_of_verdict = verdict(changes, arguments.fail_on)
        width = shutil.get_terminal_size().columns
        for line in [*terminal_lines(changes, environment, width), line_of_verdict]:
            print(line)
        if arguments.markdown:
            write_whole(arguments.markdown, markdown_text(changes, [*environment, line_of_verdict]))
        if arguments.html:
            write_whole(arguments.html, comparison_page(changes, environment, line_of_verdict))
    except (UnreadableError, NotWrittenError) as error:
        return _fail(str(error))
    if not after.info.complete:
        return _fail(f"{arguments.after} is from an interrupted run, which cannot be compared; repeat the run")
    return code


def _fail(problem: str) -> int:
    sys.stderr.write(f"istio-egress: {problem}\n")
    return NO_VERDICT
