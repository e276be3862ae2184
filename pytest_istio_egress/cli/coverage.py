"""The command `istio-egress coverage`: write docs/coverage.md, or check that it is as the cases are."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pytest_istio_egress.suite.coverage import CoverageError, close_rows, problems, read
from pytest_istio_egress.suite.coverage_page import page_of
from pytest_istio_egress.suite.discovery import OUTCOMES, PACKAGE, ROOT

PAGE = Path("docs/coverage.md")


def register_coverage_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `coverage` to the command line; it sets `run`, which takes the arguments and returns a code."""
    coverage = commands.add_parser("coverage", help=f"write {PAGE}: which case asserts which documented outcome")
    coverage.add_argument("--check", action="store_true", help="write nothing; fail where the page is not up to date")
    coverage.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        suite = _checkout() / ROOT
        found = check(suite) if arguments.check else write(suite)
    except CoverageError as error:
        found = [str(error)]
    for line in found:
        sys.stderr.write(f"istio-egress: {line}\n")
    return 1 if found else 0


def _checkout() -> Path:
    folder = PACKAGE.parent
    if not (folder / ROOT / OUTCOMES).is_file():
        raise CoverageError(
            f"{PAGE} is made in a checkout of the project, and {PACKAGE} is an installation: use the checkout"
        )
    return folder


def check(suite: Path) -> list[str]:
    """Return what is amiss with the outcomes, the cases and the page beside a suite folder; change nothing."""
    coverage = read(suite)
    page = suite.parent / PAGE
    current = page.is_file() and page.read_text(encoding="utf-8") == page_of(coverage)
    return problems(coverage) + ([] if current else [f"{PAGE} is not as the cases are: run istio-egress coverage"])


def write(suite: Path) -> list[str]:
    """Close the rows that have a case by now, write the page beside a suite folder, return what is still amiss."""
    outcomes = suite / OUTCOMES
    coverage = read(suite)
    text = outcomes.read_text(encoding="utf-8")
    closed = close_rows(text, {row.id for row in coverage.rows if coverage.asserting(row)})
    if closed != text:
        outcomes.write_text(closed, encoding="utf-8")
        coverage = read(suite)
    page = suite.parent / PAGE
    page.parent.mkdir(exist_ok=True)
    page.write_text(page_of(coverage), encoding="utf-8")
    return problems(coverage)
