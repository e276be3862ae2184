"""The command `istio-egress coverage`: write docs/coverage.md, or check that it is up to date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pytest_istio_egress.suite.coverage import CoverageError, close_outcomes, problems, read
from pytest_istio_egress.suite.coverage_page import page_of
from pytest_istio_egress.suite.discovery import OUTCOMES, PACKAGE, ROOT

PAGE = Path("docs/coverage.md")


def register_coverage_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `coverage` to the command line; it sets `run`, which takes the arguments and returns a code."""
    coverage = commands.add_parser("coverage", help=f"Write {PAGE}: documented outcomes and the tests that assert them")
    coverage.add_argument("--check", action="store_true", help="Write nothing; fail if the page is not up to date")
    coverage.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        suite = _checkout() / ROOT
        problem_lines = check(suite) if arguments.check else write(suite)
    except CoverageError as error:
        problem_lines = [str(error)]
    for line in problem_lines:
        sys.stderr.write(f"istio-egress: {line}\n")
    return 1 if problem_lines else 0


def _checkout() -> Path:
    folder = PACKAGE.parent
    if not (folder / ROOT / OUTCOMES).is_file():
        raise CoverageError(
            f"cannot write {PAGE}: {PACKAGE} is an installation; run this command in a checkout of the project"
        )
    return folder


def check(suite: Path) -> list[str]:
    """Return the problems of outcomes, tests and the page next to a suite folder; change nothing."""
    coverage = read(suite)
    page = suite.parent / PAGE
    current = page.is_file() and page.read_text(encoding="utf-8") == page_of(coverage)
    return problems(coverage) + ([] if current else [f"{PAGE} is not up to date; run istio-egress coverage"])


def write(suite: Path) -> list[str]:
    """Close outcomes that a test asserts, write the page next to a suite folder, return the remaining problems."""
    outcomes = suite / OUTCOMES
    coverage = read(suite)
    text = outcomes.read_text(encoding="utf-8")
    closed = close_outcomes(text, {outcome.id for outcome in coverage.outcomes if coverage.tests_of(outcome)})
    if closed != text:
        outcomes.write_text(closed, encoding="utf-8")
        coverage = read(suite)
    page = suite.parent / PAGE
    page.parent.mkdir(exist_ok=True)
    page.write_text(page_of(coverage), encoding="utf-8")
    return problems(coverage)
