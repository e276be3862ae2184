"""Finds words in user-facing text that docs/glossary.md replaces, such as "holds" for the result "passed".

    python tests/vocabulary.py

prints the number of hits per text, then every hit, and ends with 1 if there are any. Texts are the pages (README.md,
docs/*.md and so on), the help of both commands, and the package's string literals.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_istio_egress"
PAGES = ("bootstrap", "kind/*", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md")
RESOURCES = ("report/html_page.js", "report/conformance_report.schema.json")
"""Files of the package that are shown to users as they are, or describe what is."""

REPLACED: Mapping[str, str] = {
    r"holds": "passed (a result), is in force (a rule), contains",
    r"do(?:es)? not hold": "failed",
    r"can(?:not|'t) be asked": "skipped (a result), cannot reach (an error)",
    r"asked of": "expected of, tested on",
    r"is told": "is reported, is printed",
    r"to mend it": "hint:",
    r"he": "the user, they",
    r"his": "the user's, their",
    r"anew": "again",
}
"""The former words, as patterns, each with what to write now."""
_ANY = re.compile(rf"\b(?:{'|'.join(REPLACED)})\b", re.IGNORECASE)

ALLOWED: Mapping[tuple[str, str], str] = {
    ("pytest_istio_egress/report/older_formats.py", "holds"): "results in reports of versions 1 and 2",
    ("pytest_istio_egress/report/older_formats.py", "does not hold"): "results in reports of versions 1 and 2",
    ("pytest_istio_egress/report/older_formats.py", "cannot be asked"): "results in reports of versions 1 and 2",
    ("pytest_istio_egress/embedded/node_plan.py", "holds"): "a part of a file's name",
}
"""Where a word is right, by text and word, each with the reason."""


class Hit(NamedTuple):
    """A replaced word: the text that has it (a file, or a command whose help it is), the line's number and content."""

    text: str
    number: int
    word: str
    line: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.text}:{self.number}: {self.word!r} in: {self.line.strip()[:110]}"


def hits_in(text: str, lines: Iterable[tuple[int, str]]) -> Iterator[Hit]:
    """Yield the replaced words in numbered lines, without those that are allowed in that text."""
    for number, line in lines:
        for match in _ANY.finditer(line):
            if (text, match[0].lower()) not in ALLOWED:
                yield Hit(text, number, match[0], line)


def page_hits() -> Iterator[Hit]:
    """Yield the hits in the pages, and in the package's resources."""
    pages = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    for path in (*pages, *(PACKAGE / name for name in RESOURCES)):
        lines = path.read_text(encoding="utf-8").splitlines()
        yield from hits_in(str(path.relative_to(ROOT)), enumerate(lines, start=1))


def literal_hits() -> Iterator[Hit]:
    """Yield the hits in the package's string literals. Docstrings are left out: users do not see them."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "_shipped" not in path.parts:
            literals = literals_of(ast.parse(path.read_text(encoding="utf-8")))
            yield from hits_in(str(path.relative_to(ROOT)), literals)


def literals_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line number and the value of each string that is not a statement by itself, as docstrings are."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, " ".join(node.value.split())
        yield from literals_of(node)


def help_hits() -> Iterator[Hit]:
    """Yield the hits in the plugin's part of pytest's help, and in the help of `istio-egress` and its commands."""
    options = help_of("pytest").partition("\nistio-egress")[2].partition("\n\n")[0]
    yield from hits_in("pytest --istio-egress --help", enumerate(options.splitlines(), start=1))
    yield from _command_hits()


def _command_hits(*command: str) -> Iterator[Hit]:
    text = help_of("pytest_istio_egress.cli", *command)
    yield from hits_in(" ".join(["istio-egress", *command, "--help"]), enumerate(text.splitlines(), start=1))
    if "COMMAND" in text:
        for name in re.findall(r"^    ([a-z]+)(?:  |$)", text, re.MULTILINE):
            yield from _command_hits(*command, name)


def help_of(module: str, *command: str) -> str:
    """Return the help that a module prints; raises RuntimeError where it prints none, in which no hit could be."""
    words = [sys.executable, "-m", module, *command, "--help"]
    text = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    if not text.startswith("usage: "):
        raise RuntimeError(f"{' '.join(words)} printed no help")
    return text


def main() -> int:
    """Print the hits; return 1 if there are any."""
    hits = [*page_hits(), *help_hits(), *literal_hits()]
    for text, count in Counter(hit.text for hit in hits).most_common():
        print(f"{count:4} {text}")
    for hit in hits:
        print(hit)
    print(f"{len(hits)} words to replace; docs/glossary.md has the vocabulary")
    return 1 if hits else 0


if __name__ == "__main__":
    sys.exit(main())
