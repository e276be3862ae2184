"""The pages: links within the repository are valid, pictures complete, and generated pages name their command."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")
COMMAND = re.compile(r"(?i)\bmade by `python (\S+?)[ `]")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
ELSEWHERE = ("http://", "https://", "mailto:")


def problems(page: Path) -> Iterator[str]:
    """Yield the broken links and pictures of a page."""
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith(ELSEWHERE):
            continue
        path, _, anchor = target.partition("#")
        found = page.parent / path if path else page
        if not found.exists():
            yield f"{target} does not exist"
        elif anchor and found.suffix == ".md" and anchor not in anchors(found):
            yield f"{target}: the page has no such heading"
        elif found.suffix == ".svg" and not is_svg(found):
            yield f"{target} is no SVG"


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub and GitLab give to a page's headings."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?)\s*$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        again = sum(anchor == slug or anchor.rpartition("-")[0] == slug for anchor in found)
        found.add(f"{slug}-{again}" if again else slug)
    return found | set(re.findall(r'<a (?:name|id)="([^"]+)"', text))


def is_svg(picture: Path) -> bool:
    try:
        return ElementTree.parse(picture).getroot().tag.endswith("}svg")
    except ElementTree.ParseError:
        return False


def made_by(page: Path) -> list[Path]:
    """Return the commands that a page names as its source."""
    return [ROOT / command for command in COMMAND.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_are_valid(page: Path) -> None:
    assert list(problems(page)) == []


@pytest.mark.parametrize("page", [page for page in PAGES if made_by(page)], ids=lambda page: page.stem)
def test_generated_page_is_named_after_its_command(page: Path) -> None:
    (command,) = made_by(page)
    name = page.stem.removeprefix("ambient_")  # the same command makes the page about ambient meshes
    second, _, folder = name.rpartition("_")  # a second command of a folder
    assert command in (
        ROOT / "demonstrations" / name / f"{name}.py",
        ROOT / "demonstrations" / folder / f"{second}.py",
        ROOT / "benchmarks" / f"{name}.py",
    )
    assert command.is_file()


@pytest.mark.parametrize("folder", sorted((ROOT / "demonstrations").glob("[a-z]*/")), ids=lambda folder: folder.name)
def test_page_of_a_demonstration_names_its_command(folder: Path) -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    assert f"Made by `python demonstrations/{folder.name}/{folder.name}.py" in sources


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "torn.svg").write_text("<svg")
    (tmp_path / "text.svg").write_text("<p/>")
    page = tmp_path / "page.md"
    page.write_text(
        "# One heading\n[gone](gone.md) [here](#one-heading) [nowhere](#another) ![](torn.svg) ![](text.svg)\n"
        "[far](https://istio.io/)\n```\n[code](gone.py)\n```\n"
    )
    assert list(problems(page)) == [
        "gone.md does not exist",
        "#another: the page has no such heading",
        "torn.svg is no SVG",
        "text.svg is no SVG",
    ]
