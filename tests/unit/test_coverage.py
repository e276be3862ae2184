"""docs/coverage.md, the list of outcomes and the cases agree; and a disagreement of any kind is found."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pytest_istio_egress.cli.coverage import PAGE, check, write
from pytest_istio_egress.suite.coverage import CoverageError, close_rows, documents_of, problems, read
from pytest_istio_egress.suite.coverage_page import page_of

CHECKOUT = Path(__file__).parents[2]

OUTCOMES = """\
documents:
- id: guide
  title: A guide
  kind: page
  url: https://guide.example/
  left_out: [the weather]
  outcomes:
  - id: guide/opens
    says: It opens.
    today: 'since 1.21: it opens otherwise'
  - id: guide/closes
    says: It closes *.x and <y>.
    needs: a door
    open: nobody has a door
"""
CASE = """\
from pytest_istio_egress import documented

@documented(at="https://source.example/", says="A door that is pushed opens", manifests=[], rows=["guide/opens"])
def test_door(egress):
    pass
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Make a checkout with two outcomes, one of them open, and one case; return its suite folder."""
    folder = tmp_path / "conformance"
    (folder / "doors").mkdir(parents=True)
    (folder / "outcomes.yaml").write_text(OUTCOMES)
    (folder / "doors" / "test_door.py").write_text(CASE)
    return folder


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_the_shipped_outcomes_cases_and_page_agree() -> None:
    assert check(CHECKOUT / "conformance") == []


def test_outcomes_and_cases_that_agree_have_no_problem(suite: Path) -> None:
    assert problems(read(suite)) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "culprit"),
    [
        pytest.param("outcomes.yaml", "    open: nobody has a door\n", "", "guide/closes", id="outcome-without-case"),
        pytest.param("doors/test_door.py", '"guide/opens"', '"guide/closes"', "guide/closes", id="open-with-a-case"),
        pytest.param("doors/test_door.py", '"guide/opens"', '"guide/opens", "guide/x"', "guide/x", id="unknown-row"),
        pytest.param("doors/test_door.py", "https://source.example/", "", "test_door", id="no-source"),
        pytest.param("doors/test_door.py", '"guide/opens"', "", "test_door", id="no-row"),
        pytest.param(
            "doors/test_door.py", CASE, f"{CASE}\ndef test_other(egress): ...\n", "test_other", id="not-declared"
        ),
    ],
)
def test_a_disagreement_is_named(suite: Path, file: str, old: str, new: str, culprit: str) -> None:
    change(suite / file, old, new)
    assert any(culprit in line for line in problems(read(suite)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("guide/closes", "guide/opens", id="id-twice"),
        pytest.param("needs: a door", "nedds: a door", id="unknown-field"),
        pytest.param("says: It opens.", "at: https://guide.example/", id="says-nothing"),
        pytest.param("since 1.21: ", "lately ", id="today-without-version"),
        pytest.param("a door", "{a: door}", id="not-text"),
        pytest.param("documents:", "pages:", id="no-documents"),
        pytest.param("title: A guide", "title: 'A guide", id="not-yaml"),
    ],
)
def test_an_outcomes_file_that_is_wrong_is_refused(old: str, new: str) -> None:
    assert old in OUTCOMES
    with pytest.raises(CoverageError):
        documents_of(OUTCOMES.replace(old, new))


def test_a_case_that_cannot_be_imported_is_named(suite: Path) -> None:
    change(suite / "doors" / "test_door.py", "import documented", "import no_such_word")
    with pytest.raises(CoverageError, match=r"test_door\.py"):
        read(suite)


def test_the_page_has_each_outcome_with_its_notes_and_cases(suite: Path) -> None:
    page = page_of(read(suite))
    assert "../conformance/doors/test_door.py" in page
    for word in ("guide/opens", "since 1.21", "https://source.example/", "a door", "nobody has a door", "the weather"):
        assert word in page


def test_the_pages_links_lead_to_files() -> None:
    coverage = read(CHECKOUT / "conformance")
    for shipped in coverage.cases:
        assert (CHECKOUT / shipped.id.partition("::")[0]).is_file()


def test_text_does_not_turn_into_markup(suite: Path) -> None:
    assert r"It closes \*.x and \<y\>." in page_of(read(suite))


def test_writing_closes_the_rows_that_have_a_case_and_nothing_else(suite: Path) -> None:
    change(suite / "doors" / "test_door.py", '"guide/opens"', '"guide/opens", "guide/closes"')
    assert write(suite) == []
    before, after = yaml.safe_load(OUTCOMES), yaml.safe_load((suite / "outcomes.yaml").read_text())
    del before["documents"][0]["outcomes"][1]["open"]
    assert after == before
    assert check(suite) == []


def test_a_row_stays_open_while_it_has_no_case(suite: Path) -> None:
    write(suite)
    assert (suite / "outcomes.yaml").read_text() == OUTCOMES
    assert close_rows(OUTCOMES, {"guide/opens"}) == OUTCOMES


def test_a_page_that_is_not_up_to_date_is_found(suite: Path) -> None:
    write(suite)
    change(suite / "outcomes.yaml", "It opens.", "It opens slowly.")
    assert any(str(PAGE) in line for line in check(suite))


def test_a_page_that_is_missing_is_found(suite: Path) -> None:
    assert any(str(PAGE) in line for line in check(suite))


def test_coverage_needs_no_pytest() -> None:
    code = "import sys, pytest_istio_egress.coverage_command; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
