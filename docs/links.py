"""Checks the pages: what they link to in this repository is there, pictures are whole: python docs/links.py."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")
COMMAND = re.compile(r"(?i)\bmade by `python (\S+?)[ `]")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
ELSEWHERE = ("http://", "https://", "mailto:")


def pages() -> list[Path]:
    """Return the Markdown files of the project: those at the top and below docs/."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def problems(page: Path) -> Iterator[str]:
    """Yield one line for each link of a page that leads nowhere, and for a command that it is said to be made by."""
    text = page.read_text(encoding="utf-8")
    for target in LINK.findall(FENCE.sub("", text)):
        if not target.startswith(ELSEWHERE):
            path, _, anchor = target.partition("#")
            found = page.parent / path if path else page
            if not found.exists():
                yield f"{page.relative_to(ROOT)}: {target} is not there"
            elif anchor and found.suffix == ".md" and anchor not in anchors(found):
                yield f"{page.relative_to(ROOT)}: {target}: the page has no such heading"
            elif found.suffix == ".svg":
                yield from broken_picture(found)
    for command in COMMAND.findall(text):
        if not (ROOT / command).is_file():
            yield f"{page.relative_to(ROOT)}: made by {command}, which is not there"


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub and GitLab give to a page's headings."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?)\s*$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        again = sum(anchor == slug or anchor.rpartition("-")[0] == slug for anchor in found)
        found.add(f"{slug}-{again}" if again else slug)
    return found | set(re.findall(r'<a (?:name|id)="([^"]+)"', text))


def broken_picture(picture: Path) -> Iterator[str]:
    """Yield a line where a picture is no SVG."""
    try:
        root = ElementTree.parse(picture).getroot()  # noqa: S314  # a file of this repository
    except ElementTree.ParseError as error:
        yield f"{picture.relative_to(ROOT)} is no whole picture: {error}"
    else:
        if not root.tag.endswith("}svg"):
            yield f"{picture.relative_to(ROOT)} is no SVG"


def main() -> int:
    """Print what is wrong with the pages; return 1 where anything is."""
    found = [line for page in pages() for line in problems(page)]
    sys.stderr.writelines(f"{line}\n" for line in found)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
