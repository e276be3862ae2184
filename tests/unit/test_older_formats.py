"""Reports of format versions 1 and 2 are read as if they had been written in version 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, PASSED, SKIPPED
from pytest_istio_egress.report.comparison import compare_runs, environment_changes
from pytest_istio_egress.report.document import report_text
from pytest_istio_egress.report.older_formats import difference_of
from pytest_istio_egress.report.reader import UnreadableError, read_report, run_of
from pytest_istio_egress.report.results import Result

EXCERPT = Path(__file__).parent / "reports" / "version_2.yaml"
"""A part of a report of version 2 of a real run, with one failure of another run."""


def results_by_name() -> dict[str, Result]:
    return {result.id.partition("::")[2]: result for result in read_report(EXCERPT).results}


def test_results_have_their_current_names() -> None:
    assert {name: result.result for name, result in results_by_name().items()} == {
        "test_two_hops[clear-text]": FAILED,
        "test_http_port[exit]": PASSED,
        "test_counted_in_metrics[http-request]": SKIPPED,
        "test_known": KNOWN_DEVIATION,
        "test_error": ERROR,
    }


def test_log_lines_have_fields() -> None:
    two_hops = results_by_name()["test_two_hops[clear-text]"]
    assert two_hops.sidecar is not None
    assert two_hops.gateway is not None
    assert two_hops.forward_proxy is None
    assert (two_hops.sidecar.status, two_hops.sidecar.flags, two_hops.sidecar.protocol) == (200, "", "HTTP/1.1")
    assert two_hops.sidecar.cluster == "outbound|80|two-hops|istio-egressgateway.istio-system.svc.cluster.local"
    assert two_hops.gateway.line.startswith("[2026-11-26T")


def test_texts_and_options_have_their_current_names() -> None:
    run = read_report(EXCERPT)
    assert run.info.options == ("--istio-egress-target", "embedded")
    assert run.info.features["istio-metrics"]
    assert run.info.features["gateway-api"] is None
    results = results_by_name()
    assert results["test_http_port[exit]"].expected.endswith("no external server reached")
    assert results["test_two_hops[clear-text]"].server_saw.startswith("port 8080, protocol HTTP/1.1")
    assert results["test_two_hops[clear-text]"].summary
    assert results["test_two_hops[clear-text]"].response_headers
    assert results["test_known"].known_deviation == "ticket 1"


def test_equal_values_are_those_of_the_expected_outcome() -> None:
    assert results_by_name()["test_http_port[exit]"].equal_values == {"exit": ("52", "55", "56")}


@pytest.mark.parametrize(
    ("connected_to", "assigned"),
    [("10.96.118.91", ("10.96.118.91",)), ("fd00:10:96::7", ("fd00:10:96::7",)), ("192.0.2.82", ())],
)
def test_assigned_addresses_are_those_of_the_expected_outcome(connected_to: str, assigned: tuple[str, ...]) -> None:
    document = version_1()
    case = document["behaviours"][0]["cases"][0]
    case["expected"] = f"status 200, connected to {connected_to}, after 3 s"
    (read,) = (each for each in run_of(yaml.safe_dump(document), "older.yaml").results if each.id == case["id"])
    assert read.assigned_addresses == assigned


def test_differences_have_hop_and_field() -> None:
    assert results_by_name()["test_two_hops[clear-text]"].differences == (
        Difference("egress gateway", "route", "two-hops", "default"),
        Difference("external server", "request header x-added-by", "gateway", "none"),
    )


@pytest.mark.parametrize(
    ("sentence", "difference"),
    [
        ("HTTP status: expected 504, seen 200", Difference("client", "HTTP status", "504", "200")),
        ("curl's exit code: expected 56 or 52, seen 0", Difference("client", "curl exit code", "56 or 52", "0")),
        ("header x-a of the answer: expected b, seen none", Difference("client", "response header x-a", "b", "none")),
        (
            "the sidecar's access log: expected a line for this connection, seen none",
            Difference("sidecar", "access log", "a line for this connection", "none"),
        ),
        (
            "the gateway's response flags: expected -, seen UH",
            Difference("egress gateway", "response flags", "-", "UH"),
        ),
        (
            "the forward proxy's log: expected a line for this connection, seen none",
            Difference("forward proxy", "log", "a line for this connection", "none"),
        ),
        (
            "the outside server that answered: expected outside, seen none",
            Difference("external server", "that answered", "outside", "none"),
        ),
        (
            "a control beside it, asked by the same client: expected one that passes, seen none that does (x)",
            Difference("control", "request of the same client", "one that passes", "none that does (x)"),
        ),
        ("ServiceEntry a: expected there, seen none", Difference("", "ServiceEntry a", "there", "none")),
        ("no sentence of ours", Difference("", "no sentence of ours", "not recorded", "not recorded")),
    ],
    ids=range(10),
)
def test_sentence_becomes_a_difference(sentence: str, difference: Difference) -> None:
    assert difference_of(sentence) == difference


def test_older_report_written_again_is_the_same_run() -> None:
    older = read_report(EXCERPT)
    newer = run_of(report_text(older), "newer.yaml")
    assert compare_runs(older, newer) == []
    assert environment_changes(older, newer) == []
    assert list(newer.results) == sorted(older.results, key=lambda result: (result.area, result.test, result.id))


def version_1() -> dict[str, Any]:
    """Return the report without what version 2 added."""
    document: dict[str, Any] = yaml.safe_load(EXCERPT.read_text(encoding="utf-8")) | {"version": 1}
    for name in ("stopped", "asking", "tools"):
        document["run"].pop(name, None)
    for case in (case for behaviour in document["behaviours"] for case in behaviour["cases"]):
        for name in ("probes", "forward_proxy", "evidence"):
            case.pop(name, None)
    return document


def test_version_1_is_read() -> None:
    read = run_of(yaml.safe_dump(version_1()), "older.yaml")
    assert read.info.options == ()
    assert compare_runs(read, read_report(EXCERPT)) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("behaviours", 7), ("behaviours", [7]), ("features", 7), ("totals", {"cases": "x"}), ("run", [])],
)
def test_damaged_older_report_is_an_error_of_one_line(name: str, value: object) -> None:
    with pytest.raises(UnreadableError, match="damaged") as caught:
        run_of(yaml.safe_dump(version_1() | {name: value}), "older.yaml")
    assert "\n" not in str(caught.value)


def test_aliases_that_multiply_results_of_an_older_report_are_an_error() -> None:
    document = version_1()
    case = yaml.safe_dump(document.pop("behaviours")[0]["cases"][0]).replace("\n", "\n    ")
    copies = ", ".join(["*c"] * 3000)
    text = (
        yaml.safe_dump(document)
        + f"anchor: &c\n    {case}\n"
        + f"many: &b {{says: s, source: t, cases: [{copies}]}}\n"
        + f"behaviours: [{', '.join(['*b'] * 3000)}]\n"
    )
    with pytest.raises(UnreadableError, match="damaged"):
        run_of(text, "older.yaml")
