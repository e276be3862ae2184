"""ARCHITECTURE.md names files that exist and every folder of the package, in tables that fit on a screen."""

from __future__ import annotations

import re
from pathlib import Path

from layers import MAY_IMPORT, PACKAGE

ROOT = PACKAGE.parent
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
LONGEST_CELL = 120


def rows() -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in TEXT.splitlines() if line.startswith("| ")
    ]


def test_named_files_exist() -> None:
    files = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|yaml))`", TEXT))
    roots = (PACKAGE, ROOT, ROOT / "conformance")
    assert len(files) > 40
    assert [file for file in sorted(files) if not any((root / file).exists() for root in roots)] == []


def test_every_folder_of_the_package_has_a_row() -> None:
    described = {row[0].strip("`").removesuffix("/").removesuffix(".py") for row in rows() if len(row) == 3}
    assert set(MAY_IMPORT) <= described


def test_cells_are_short() -> None:
    assert [cell for row in rows() for cell in row if len(cell) > LONGEST_CELL] == []


def test_every_demonstration_has_a_row() -> None:
    names = {path.name for path in Path(ROOT / "demonstrations").glob("[a-z]*") if path.is_dir()}
    assert names <= {row[0].strip("`") for row in rows()}
