"""The HTML page: self-contained, well formed, texts never become markup; filters in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from chromium import Page

from pytest_istio_egress.model.difference import HOPS, Difference, HopName
from pytest_istio_egress.model.hop_log import HopLog
from pytest_istio_egress.model.result_names import FAILED, PASSED, SKIPPED
from pytest_istio_egress.report.document import Run, RunInfo
from pytest_istio_egress.report.html_page import page_text
from pytest_istio_egress.report.request_path import request_path
from pytest_istio_egress.report.results import Result

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
    differences=(Difference("sidecar", EVIL, EVIL, EVIL),),
    sidecar=HopLog.parse(LINE),
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
    """Checks that elements are closed in order, and collects them."""

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


def test_page_is_well_formed_and_texts_do_not_become_markup() -> None:
    tree = Tree(page_text(RUN))
    assert tree.open == []
    assert len(tree.named("script")) == 1
    assert tree.named("img") == []
    assert not [name for _, attributes in tree.elements for name in attributes if name.startswith("on")]
    ids = [attributes["id"] for _, attributes in tree.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)


def test_page_loads_nothing() -> None:
    text = page_text(RUN)
    tree = Tree(text)
    assert not [attributes for _, attributes in tree.elements if "src" in attributes or "srcset" in attributes]
    assert tree.named("link") == []
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert not re.search(r"url\(|@import", style)
    assert all((link["href"] or "").startswith(("https://istio.io/", "#")) for link in tree.named("a"))


def test_every_form_control_has_a_label() -> None:
    text = page_text(RUN)
    for control in re.findall(r"<(?:input|select)[^>]*>", text):
        before = text[: text.index(control)]
        assert before.rfind("<label>") > before.rfind("</label>")
    assert Tree(text).named("html")[0]["lang"] == "en"


def test_failures_are_open() -> None:
    details = Tree(page_text(RUN)).named("details")
    assert {entry["data-result"]: "open" in entry for entry in details} == {
        FAILED: True,
        PASSED: False,
        SKIPPED: False,
    }


def test_path_of_a_request_names_its_hops() -> None:
    assert [stop.name for stop in request_path(SLOW)] == ["client", "sidecar", "external server"]
    assert "flags UT" in request_path(SLOW)[1].observed
    assert "cluster outbound|80||api.test" in request_path(SLOW)[1].observed
    bypassed = replace(SLOW, differences=(Difference("egress gateway", "access log", "a line", "none"),))
    assert [stop.name for stop in request_path(bypassed) if not stop.observed] == ["egress gateway"]
    assert request_path(RESULTS[2]) == []


def test_line_in_an_unknown_format_is_shown_as_it_is() -> None:
    assert request_path(replace(SLOW, sidecar=HopLog.parse("GET / 200")))[1].observed == "GET / 200"


def test_forward_proxy_is_a_hop_and_hops_that_differ_are_marked() -> None:
    difference = Difference("forward proxy", "status", "200", "504")
    tunnelled = replace(SLOW, forward_proxy=HopLog.parse(LINE), differences=(difference,))
    names = ["client", "sidecar", "forward proxy", "external server"]
    assert [stop.name for stop in request_path(tunnelled)] == names
    assert [stop.name for stop in request_path(tunnelled) if stop.differs] == ["forward proxy"]
    page = page_text(Run(info=RunInfo(suite="1"), results=[tunnelled]))
    assert [item for item in Tree(page).named("li") if item.get("class") == "differs"]


@pytest.mark.parametrize("hop", [hop for hop in HOPS if hop not in ("cluster", "")])
def test_every_hop_that_a_difference_can_name_is_marked(hop: HopName) -> None:
    result = replace(SLOW, differences=(Difference(hop, "a field", "1", "2"),))
    assert [stop.name for stop in request_path(result) if stop.differs] == ["client" if hop == "control" else hop]


def test_page_with_redacted_header_is_well_formed() -> None:
    """A rule for `authorization: ...` that is applied to the whole page would take the markup behind it, too."""
    difference = Difference("external server", "request header authorization", "none", "s3cr3t-Abc123")
    secret = replace(SLOW, cause="authorization: Basic czNjcjN0", differences=(difference,))
    page = page_text(Run(info=RunInfo(suite="1"), results=[secret]))
    assert Tree(page).open == []
    assert "s3cr3t" not in page
    assert "czNjcjN0" not in page


def test_page_shows_evidence_several_probes_and_an_interrupted_run() -> None:
    folder = "report-evidence/a b/slow"
    twice = replace(SLOW, evidence=folder, probes=(replace(SLOW, result=PASSED, differences=()), SLOW))
    info = RunInfo(suite="1", complete=False, stopped="interrupted", options=("--istio-egress-context", "lab"))
    page = page_text(Run(info=info, results=[twice]))
    tree = Tree(page)
    assert {"href": "report-evidence/a%20b/slow/"} in tree.named("a")
    assert ["open" in entry for entry in tree.named("details") if entry.get("class") == "probe"] == [False, True]
    assert [item for item in tree.named("p") if item.get("role") == "alert"]
    assert "interrupted" in page
    assert "--istio-egress-context lab" in page


@pytest.mark.parametrize(
    ("choose", "shown"),
    [
        ("", "3 parameters shown"),
        ("text.value = 'SLOW'", "1 parameter shown"),
        ("text.value = 'nothing like it'", "0 parameters shown"),
        ("area.value = 'timeouts'", "2 parameters shown"),
        ("result.value = 'skipped'", "1 parameter shown"),
    ],
)
def test_filters_select_parameters_in_a_browser(browser: Page, choose: str, shown: str) -> None:
    browser.show(page_text(RUN))
    browser.run(f"form.elements.{choose}; form.dispatchEvent(new Event('input'))" if choose else "")
    assert browser.run("count.textContent") == shown
    assert browser.run("document.title") == "Istio egress conformance"
    visible = "[...document.querySelectorAll('details')].filter((one) => one.checkVisibility()).length"
    assert browser.run(visible) == int(shown.split()[0])


def test_page_is_usable_by_keyboard(browser: Page) -> None:
    browser.show(page_text(RUN))
    browser.press("Tab")
    assert browser.run("document.activeElement.hash") == "#results", "the first link skips the filters"
    browser.tab_to("input")
    browser.type("slow")
    assert browser.run("count.textContent") == "1 parameter shown"
    browser.tab_to("button")
    browser.press("Enter")
    later = "new Promise((done) => setTimeout(() => done(count.textContent)))"
    assert browser.run(later) == "3 parameters shown"
    browser.tab_to("details[open] summary")
    browser.press("Enter")
    assert not browser.run("document.activeElement.closest('details').open")


def test_hidden_parameters_take_no_focus(browser: Page) -> None:
    browser.show(page_text(RUN))
    browser.tab_to("select[name=result]")
    while browser.run("form.elements.result.value") != SKIPPED:
        before = browser.run("form.elements.result.selectedIndex")
        browser.press("ArrowDown")
        assert browser.run("form.elements.result.selectedIndex") == before + 1
    browser.tab_to("summary")
    assert browser.run("document.activeElement.closest('details').dataset.result") == SKIPPED
