"""docs/coverage.md, the list of outcomes and the tests agree; and each kind of disagreement is reported."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pytest_istio_egress.cli.coverage import PAGE, check, write
from pytest_istio_egress.suite.coverage import CoverageError, close_outcomes, documents_of, problems, read
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
    statement: It opens.
    today: 'since 1.21: it opens otherwise'
  - id: guide/closes
    statement: It closes *.x and <y>.
    needs: a door
    open: nobody has a door
"""
CASE = """\
from pytest_istio_egress import documented

@documented(
    source="https://source.example/", summary="A door that is pushed opens", manifests=[], outcomes=["guide/opens"]
)
def test_door(egress):
    pass
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Make a checkout with two outcomes, one of them open, and one test; return its suite folder."""
    folder = tmp_path / "conformance"
    (folder / "doors").mkdir(parents=True)
    (folder / "outcomes.yaml").write_text(OUTCOMES)
    (folder / "doors" / "test_door.py").write_text(CASE)
    return folder


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_shipped_outcomes_tests_and_page_agree() -> None:
    assert check(CHECKOUT / "conformance") == []


def test_matching_outcomes_and_tests_have_no_problem(suite: Path) -> None:
    assert problems(read(suite)) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "name"),
    [
        pytest.param("outcomes.yaml", "    open: nobody has a door\n", "", "guide/closes", id="outcome-without-test"),
        pytest.param("doors/test_door.py", '"guide/opens"', '"guide/closes"', "guide/closes", id="open-with-a-test"),
        pytest.param(
            "doors/test_door.py", '"guide/opens"', '"guide/opens", "guide/x"', "guide/x", id="unknown-outcome"
        ),
        pytest.param("doors/test_door.py", "https://source.example/", "", "test_door", id="no-source"),
        pytest.param("doors/test_door.py", '"guide/opens"', "", "test_door", id="no-outcome"),
        pytest.param(
            "doors/test_door.py", CASE, f"{CASE}\ndef test_other(egress): ...\n", "test_other", id="not-declared"
        ),
    ],
)
def test_disagreement_names_outcome_or_test(suite: Path, file: str, old: str, new: str, name: str) -> None:
    change(suite / file, old, new)
    assert any(name in line for line in problems(read(suite)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("guide/closes", "guide/opens", id="id-twice"),
        pytest.param("needs: a door", "nedds: a door", id="unknown-field"),
        pytest.param("statement: It opens.", "source: https://guide.example/", id="without-statement"),
        pytest.param("since 1.21: ", "lately ", id="today-without-version"),
        pytest.param("a door", "{a: door}", id="not-text"),
        pytest.param("documents:", "pages:", id="no-documents"),
        pytest.param("title: A guide", "title: 'A guide", id="not-yaml"),
    ],
)
def test_invalid_outcomes_file_raises_coverage_error(old: str, new: str) -> None:
    assert old in OUTCOMES
    with pytest.raises(CoverageError):
        documents_of(OUTCOMES.replace(old, new))


def test_module_that_cannot_be_imported_is_named(suite: Path) -> None:
    change(suite / "doors" / "test_door.py", "import documented", "import no_such_word")
    with pytest.raises(CoverageError, match=r"test_door\.py"):
        read(suite)


def test_page_lists_each_outcome_with_notes_and_tests(suite: Path) -> None:
    page = page_of(read(suite))
    assert "../conformance/doors/test_door.py" in page
    for word in ("guide/opens", "since 1.21", "https://source.example/", "a door", "nobody has a door", "the weather"):
        assert word in page


def test_page_counts_tests_and_parameters(suite: Path) -> None:
    test = suite / "doors" / "test_door.py"
    change(test, "from pytest_istio_egress", "import pytest\nfrom pytest_istio_egress")
    change(
        test, "def test_door(egress)", '@pytest.mark.parametrize("side", ["in", "out"])\ndef test_door(egress, side)'
    )
    assert "asserted by 1 test with 2 parameters" in page_of(read(suite))


def test_links_of_page_lead_to_files() -> None:
    coverage = read(CHECKOUT / "conformance")
    for test in coverage.tests:
        assert (CHECKOUT / test.id.partition("::")[0]).is_file()


def test_special_characters_in_page_are_escaped(suite: Path) -> None:
    assert r"It closes \*.x and \<y\>." in page_of(read(suite))


def test_write_closes_only_outcomes_with_a_test(suite: Path) -> None:
    change(suite / "doors" / "test_door.py", '"guide/opens"', '"guide/opens", "guide/closes"')
    assert write(suite) == []
    before, after = yaml.safe_load(OUTCOMES), yaml.safe_load((suite / "outcomes.yaml").read_text())
    del before["documents"][0]["outcomes"][1]["open"]
    assert after == before
    assert check(suite) == []


def test_outcome_without_test_stays_open(suite: Path) -> None:
    write(suite)
    assert (suite / "outcomes.yaml").read_text() == OUTCOMES
    assert close_outcomes(OUTCOMES, {"guide/opens"}) == OUTCOMES


def test_outdated_page_is_reported(suite: Path) -> None:
    write(suite)
    change(suite / "outcomes.yaml", "It opens.", "It opens slowly.")
    assert any(str(PAGE) in line for line in check(suite))


def test_missing_page_is_reported(suite: Path) -> None:
    assert any(str(PAGE) in line for line in check(suite))


def test_coverage_command_does_not_import_pytest() -> None:
    code = "import sys, pytest_istio_egress.cli.coverage; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
