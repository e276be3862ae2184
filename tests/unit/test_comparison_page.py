"""The page of a comparison: self-contained, texts never become markup; filters in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from chromium import Page

from pytest_istio_egress.cli import main as cli
from pytest_istio_egress.model.result_names import FAILED, PASSED
from pytest_istio_egress.report.comparison import compare_runs
from pytest_istio_egress.report.comparison_page import comparison_page
from pytest_istio_egress.report.document import Run, RunInfo, report_text
from pytest_istio_egress.report.results import Result

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"' & {braces}"
SEEN = Result(id="conformance/dns/test_d.py::test_d[a]", result=PASSED, area="dns", exit=56, summary=EVIL)
BEFORE = [
    SEEN,
    replace(SEEN, id="conformance/dns/test_d.py::test_d[b]"),
    replace(SEEN, id="conformance/timeouts/test_t.py::test_t[gone]", area="timeouts"),
]
AFTER = [
    replace(SEEN, exit=35),
    replace(BEFORE[1], result=FAILED, cause=EVIL, expected=EVIL, response_headers=(EVIL,)),
    replace(SEEN, id="conformance/dns/test_d.py::test_d[new]"),
]
CHANGES = compare_runs(Run(info=RunInfo(suite="1"), results=BEFORE), Run(info=RunInfo(suite="1"), results=AFTER))
PAGE = comparison_page(CHANGES, ["Envoy: 1.36.4 -> 1.40.0", "the run before was stopped before its end"], EVIL)


class Elements(HTMLParser):
    """Checks that elements are closed in order, and collects them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(PAGE)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_well_formed_and_loads_nothing() -> None:
    elements = Elements()
    assert elements.open == []
    tags = [tag for tag, _ in elements.elements]
    assert tags.count("script") == 1
    assert not {"img", "link"} & set(tags)
    assert not [name for _, attributes in elements.elements for name in attributes if name.startswith(("on", "src"))]
    assert not re.search(r"url\(|@import", PAGE)


def test_page_has_each_change_and_opens_what_needs_attention() -> None:
    details = {
        attributes["data-result"]: "open" in attributes for tag, attributes in Elements().elements if tag == "details"
    }
    assert details == {"worse": True, "gone": True, "changed": True, "new": False}
    for change in CHANGES:
        assert change.id in PAGE
    assert "<dt>Envoy</dt><dd>1.36.4 -&gt; 1.40.0</dd>" in PAGE
    assert "stopped before its end" in PAGE


@pytest.mark.parametrize(
    ("choose", "shown"),
    [
        ("", "4 parameters shown"),
        ("result.value = 'worse'", "1 parameter shown"),
        ("area.value = 'timeouts'", "1 parameter shown"),
        ("text.value = '56 -> 35'", "1 parameter shown"),
    ],
)
def test_filters_select_changes_in_a_browser(browser: Page, choose: str, shown: str) -> None:
    browser.show(PAGE)
    browser.run(f"form.elements.{choose}; form.dispatchEvent(new Event('input'))" if choose else "")
    assert browser.run("count.textContent") == shown
    assert browser.run("document.title") == "Istio egress: comparison of two runs"


def test_compare_command_writes_the_page(tmp_path: Path) -> None:
    files = []
    for name, results in (("before", BEFORE), ("after", AFTER)):
        files.append(str(tmp_path / f"{name}.yaml"))
        text = report_text(Run(info=RunInfo(suite="1", run=name), results=results))
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    page = tmp_path / "page.html"
    assert cli.main(["compare", *files, "--html", str(page)]) == 1
    assert "fails: 1 worse, 1 gone" in page.read_text(encoding="utf-8")
