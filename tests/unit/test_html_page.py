"""The page: whole by itself, well formed, nothing that a result says becomes markup; filters in a real browser."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from chromium import Page

from pytest_istio_egress.model.result_names import FAILED, PASSED, SKIPPED
from pytest_istio_egress.report.document import Run, RunInfo
from pytest_istio_egress.report.html_page import page_text
from pytest_istio_egress.report.request_path import way_of
from pytest_istio_egress.report.results import Result
from pytest_istio_egress.verdict import comparison

LINE = (
    '[2026-11-21T11:55:08.962Z] "GET /headers HTTP/1.1" 504 UT response_timeout - "-" 0 437 36 26 "-" "agent" "id" '
    '"api.test" "192.0.2.80:80" outbound|80||api.test 10.244.0.46:1 192.0.2.80:80 10.244.0.46:2 - default'
)
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"' & {braces}"
SLOW = Result(
    id="conformance/timeouts/test_x.py::test_x[slow]",
    result=FAILED,
    area="timeouts",
    summary=EVIL,
    source='https://istio.io/latest/docs/?a=1&b="2"',
    cause=EVIL,
    differences=(EVIL,),
    sidecar=LINE,
    probe=EVIL,
    status=504,
    exit=0,
    server_saw="server outside",
)
RESULTS = [
    SLOW,
    replace(SLOW, id="conformance/timeouts/test_x.py::test_x[fast]", result=PASSED, cause="", differences=()),
    Result(id="conformance/dns/test_d.py::test_d", result=SKIPPED, area="dns", cause="no gateway"),
]
RUN = Run(info=RunInfo(suite="1", context=EVIL, notes=(EVIL,)), results=RESULTS)
VOID = {"meta", "input", "br", "img", "link"}


class Tree(HTMLParser):
    """Checks that elements are closed in order; collects elements, ids and what would be loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_well_formed_and_nothing_becomes_markup() -> None:
    tree = Tree(page_text(RUN))
    assert tree.open == []
    assert len(tree.named("script")) == 1
    assert tree.named("img") == []
    assert not [name for _, attributes in tree.elements for name in attributes if name.startswith("on")]
    ids = [attributes["id"] for _, attributes in tree.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)


def test_loads_nothing() -> None:
    text = page_text(RUN)
    tree = Tree(text)
    assert not [attributes for _, attributes in tree.elements if "src" in attributes or "srcset" in attributes]
    assert tree.named("link") == []
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert not re.search(r"url\(|@import", style)
    assert all((link["href"] or "").startswith(("https://istio.io/", "#")) for link in tree.named("a"))


def test_every_control_has_a_name() -> None:
    text = page_text(RUN)
    for control in re.findall(r"<(?:input|select)[^>]*>", text):
        before = text[: text.index(control)]
        assert before.rfind("<label>") > before.rfind("</label>")
    assert Tree(text).named("html")[0]["lang"] == "en"


def test_what_is_broken_is_open() -> None:
    details = Tree(page_text(RUN)).named("details")
    assert {entry["data-outcome"]: "open" in entry for entry in details} == {
        FAILED: True,
        PASSED: False,
        SKIPPED: False,
    }


def test_the_way_of_a_request() -> None:
    names = [stop.name for stop in way_of(SLOW)]
    assert names == ["client", "sidecar", "outside"]
    assert "UT" in way_of(SLOW)[1].saw
    assert "outbound|80||api.test" in way_of(SLOW)[1].saw
    bypassed = replace(SLOW, differences=("the egress gateway's access log: expected a line, seen none",))
    assert [stop.name for stop in way_of(bypassed) if not stop.saw] == ["egress gateway"]
    assert way_of(RESULTS[2]) == []


def test_the_forward_proxy_is_a_stop_and_stops_that_differ_are_marked() -> None:
    tunnelled = replace(SLOW, forward_proxy=LINE, differences=("the forward proxy's status: expected 200, seen 504",))
    assert [stop.name for stop in way_of(tunnelled)] == ["client", "sidecar", "forward proxy", "outside"]
    assert [stop.name for stop in way_of(tunnelled) if stop.differs] == ["forward proxy"]
    page = page_text(Run(info=RunInfo(suite="1"), results=[tunnelled]))
    assert [item for item in Tree(page).named("li") if item.get("class") == "differs"]


def test_every_difference_is_seen_at_some_stop() -> None:
    """What comparison.py can say, by its own source."""
    source = Path(comparison.__file__).read_text(encoding="utf-8")
    told = re.findall(r'_differ\(f?"([^"]+)"|Difference\(\s*f?"([^"]+)"', source)
    seen = [first or second for first, second in told]
    assert len(seen) > 5
    for template in seen:
        what = template.format_map(defaultdict(lambda: "the sidecar's", name="x", what="x", fact="x"))
        result = replace(SLOW, gateway=LINE, forward_proxy=LINE, differences=(f"{what}: expected 1, seen 2",))
        assert any(stop.differs for stop in way_of(result)), what


def test_evidence_several_questions_and_an_end_before_the_end() -> None:
    kept = "report-evidence/a b/slow"
    twice = replace(SLOW, evidence=kept, probes=(replace(SLOW, result=PASSED, differences=()), SLOW))
    about = RunInfo(suite="1", complete=False, stopped="interrupted", options=("--istio-egress-context", "lab"))
    page = page_text(Run(info=about, results=[twice]))
    tree = Tree(page)
    assert {"href": "report-evidence/a%20b/slow/"} in tree.named("a")
    assert ["open" in entry for entry in tree.named("details") if entry.get("class") == "probe"] == [False, True]
    assert [item for item in tree.named("p") if item.get("role") == "alert"]
    assert "interrupted" in page
    assert "--istio-egress-context lab" in page


@pytest.mark.parametrize(
    ("choose", "shown"),
    [
        ("", "3 cases are shown"),
        ("text.value = 'SLOW'", "1 case is shown"),
        ("text.value = 'nothing like it'", "0 cases are shown"),
        ("area.value = 'timeouts'", "2 cases are shown"),
        ("outcome.value = 'cannot be asked'", "1 case is shown"),
    ],
)
def test_filters_in_a_browser(browser: Page, choose: str, shown: str) -> None:
    browser.show(page_text(RUN))
    browser.run(f"form.elements.{choose}; form.dispatchEvent(new Event('input'))" if choose else "")
    assert browser.run("count.textContent") == shown
    assert browser.run("document.title") == "Istio egress conformance"
    visible = "[...document.querySelectorAll('details')].filter((one) => one.checkVisibility()).length"
    assert browser.run(visible) == int(shown.split()[0])


def test_all_of_it_by_keyboard(browser: Page) -> None:
    browser.show(page_text(RUN))
    browser.press("Tab")
    assert browser.run("document.activeElement.hash") == "#results", "what comes first leads past the filters"
    browser.tab_to("input")
    browser.type("slow")
    assert browser.run("count.textContent") == "1 case is shown"
    browser.tab_to("button")
    browser.press("Enter")
    later = "new Promise((done) => setTimeout(() => done(count.textContent)))"
    assert browser.run(later) == "3 cases are shown"
    browser.tab_to("details[open] summary")
    browser.press("Enter")
    assert not browser.run("document.activeElement.closest('details').open")


def test_what_is_filtered_out_takes_no_focus(browser: Page) -> None:
    browser.show(page_text(RUN))
    browser.tab_to("select[name=outcome]")
    while browser.run("form.elements.outcome.value") != SKIPPED:
        before = browser.run("form.elements.outcome.selectedIndex")
        browser.press("ArrowDown")
        assert browser.run("form.elements.outcome.selectedIndex") == before + 1
    browser.tab_to("summary")
    assert browser.run("document.activeElement.closest('details').dataset.outcome") == SKIPPED
