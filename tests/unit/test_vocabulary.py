"""User-facing text keeps to the vocabulary of docs/glossary.md."""

from __future__ import annotations

import ast
import re

import pytest
from vocabulary import ALLOWED, REPLACED, ROOT, help_hits, help_of, hits_in, literal_hits, literals_of, page_hits


def test_pages_keep_to_the_vocabulary() -> None:
    assert [str(hit) for hit in page_hits()] == []


def test_help_keeps_to_the_vocabulary() -> None:
    assert [str(hit) for hit in help_hits()] == []


def test_module_without_help_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="printed no help"):
        help_of("pytest_istio_egress.cli.main")


def test_string_literals_keep_to_the_vocabulary() -> None:
    assert [str(hit) for hit in literal_hits()] == []


def test_a_replaced_word_is_found_with_its_line() -> None:
    lines = enumerate(["It passed.", "It holds: the household is told.", "Can't be asked anew."], start=1)
    found = [(hit.number, hit.word) for hit in hits_in("page.md", lines)]
    assert found == [(2, "holds"), (2, "is told"), (3, "Can't be asked"), (3, "anew")]


def test_docstrings_are_not_literals() -> None:
    source = '"""It holds."""\nNAME = 1\n"""He says."""\ndef f(x):\n    """Doc."""\n    return f"it {x} holds"\n'
    assert [text for _, text in literals_of(ast.parse(source))] == ["it", "holds"]


def test_allowed_words_are_replaced_words_of_existing_texts() -> None:
    for text, word in ALLOWED:
        assert any(re.fullmatch(pattern, word) for pattern in REPLACED)
        assert not text.endswith(".md") or (ROOT / text).exists()


def test_every_glossary_word_has_a_meaning() -> None:
    table = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| **")]
    assert 20 <= len(rows) <= 40
    assert all(len(cells) == 3 and cells[1].strip() for cells in rows)
    assert len({cells[0] for cells in rows}) == len(rows), "one meaning each"
