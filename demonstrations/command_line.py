"""The command lines of demonstrations: described by the text at the head of the module, names from a list."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


def parser_of(file: str, description: str | None, epilog: str = "") -> argparse.ArgumentParser:
    """Return a parser without options for the demonstration in a file, whose `__doc__` is its description.

    Options cannot be abbreviated: what the parser does not know is often an option of pytest.
    """
    return argparse.ArgumentParser(
        prog=f"python {Path(file).resolve().relative_to(ROOT)}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def check_names(parser: argparse.ArgumentParser, given: Sequence[str], known: Collection[str]) -> None:
    """Exit with the known names where one that is given is not among them."""
    unknown = [name for name in given if name not in known]
    if unknown:
        parser.error(f"unknown name: {', '.join(unknown)} (choose from {', '.join(known)})")
