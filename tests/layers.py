"""Reads from the source which folder of the package imports which, and lists what breaks the import rules.

    python tests/layers.py

prints the entries at the top of the package, the folders floor by floor, and every arrow between two folders. It ends
with 1 where an import is against the rules.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1] / "pytest_istio_egress"
NAME = PACKAGE.name

MAY_IMPORT: Mapping[str, str] = {
    "redaction": "",
    "model": "",
    "embedded": "",
    "settings": "model",
    "suite": "model",
    "report": "model redaction",
    "verdict": "model redaction",
    "cluster": "model verdict",
    "traffic": "model cluster",
    "pipeline": "model redaction verdict cluster",
    "run_target": "model settings suite cluster embedded",
    "plugin": "model settings suite redaction report verdict cluster pipeline run_target",
    "cli": "model settings suite report cluster run_target traffic embedded",
}
"""One line per folder (or module) at the top of the package: the others that it may import."""

ONLY_IN: Mapping[str, str] = {
    "pytest": "plugin",
    "_pytest": "",
    "xdist": "plugin",
    "kubernetes": "cluster pipeline plugin run_target traffic cli embedded",
    f"{NAME}.embedded": "embedded run_target/embedded.py cli/cluster.py",
}
"""One line per library (or folder): the folders or files that may import it."""


class Import(NamedTuple):
    """One import: the file that states it, relative to the package, and the module or name it names in full."""

    file: Path
    name: str


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Yield what is imported when the code runs, inside functions too; not what only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports_of(ast.Module(node.orelse, []))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name their module in full"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports_of(node)


def all_imports() -> list[Import]:
    """Return every import of the package's own code; the shipped cases of a built wheel are not part of it."""
    files = (file for file in sorted(PACKAGE.rglob("*.py")) if "_shipped" not in file.parts)
    return [
        Import(file.relative_to(PACKAGE), name)
        for file in files
        for name in imports_of(ast.parse(file.read_text(encoding="utf-8")))
    ]


def entry_of(file: Path) -> str:
    """Return the entry at the top of the package that a file belongs to."""
    return Path(file.parts[0]).stem


def arrows(imports: Iterable[Import]) -> dict[str, set[str]]:
    """Return for each entry the other entries that it imports; the package's own `__init__` is left out."""
    found: dict[str, set[str]] = {entry: set() for entry in MAY_IMPORT}
    for file, name in imports:
        first, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if first == NAME and target in found and entry_of(file) in found and target != entry_of(file):
            found[entry_of(file)].add(target)
    return found


def floors(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the entries floor by floor, the lowest first: each imports only from floors below its own.

    Raises ValueError where entries import each other in a circle.
    """
    left = dict(graph)
    built: list[list[str]] = []
    while left:
        floor = sorted(entry for entry, targets in left.items() if not targets & left.keys())
        if not floor:
            raise ValueError(f"these import each other in a circle: {', '.join(sorted(left))}")
        built.append(floor)
        left = {entry: targets for entry, targets in left.items() if entry not in floor}
    return built


def violations(imports: Iterable[Import]) -> list[str]:
    """Return a line for each import that the two tables of rules do not allow."""
    return sorted({line for each in imports for line in (*_against_may_import(each), *_against_only_in(each))})


def _against_may_import(found: Import) -> Iterator[str]:
    first, _, rest = found.name.partition(".")
    source, target = entry_of(found.file), rest.partition(".")[0]
    if first != NAME or source == "__init__" or target not in MAY_IMPORT or target == source:
        return
    if target not in MAY_IMPORT.get(source, "").split():
        yield f"{found.file} imports {found.name}: {source} may import {MAY_IMPORT.get(source) or 'nothing of ours'}"


def _against_only_in(found: Import) -> Iterator[str]:
    for name, places in ONLY_IN.items():
        allowed = entry_of(found.file) in places.split() or str(found.file) in places.split()
        if (found.name == name or found.name.startswith(f"{name}.")) and not allowed:
            yield f"{found.file} imports {found.name}: only {places or 'nobody'} may"


def main() -> int:
    """Print entries, floors and arrows; return 1 where a rule is broken."""
    imports = all_imports()
    graph = arrows(imports)
    entries = sorted(path.name for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "_shipped"))
    print(f"{len(entries)} entries at the top of {NAME}: {', '.join(entries)}")
    stories = floors(graph)
    for number, floor in reversed(list(enumerate(stories, start=1))):
        print(f"floor {number}: {', '.join(floor)}")
    print(f"{sum(map(len, graph.values()))} arrows between {len(graph)} entries on {len(stories)} floors")
    for entry, targets in graph.items():
        print(f"  {entry} -> {', '.join(sorted(targets)) or '(nothing)'}")
    broken = violations(imports)
    for line in broken:
        print(f"against the rules: {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
