"""The matrix fits its width and shows failures first."""

from __future__ import annotations

import pytest

from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED, SKIPPED
from pytest_istio_egress.report.matrix import ASCII, UNICODE, Line, matrix, reasons, totals
from pytest_istio_egress.report.results import Result, Results, flattened

LONG = "Envoy answered by itself because the VirtualService is bound to a gateway that this client does not go through"


def result(name: str, outcome: str = PASSED, cause: str = "") -> Result:
    area = name.partition("/")[0]
    return Result(id=f"conformance/{name}", area=area, result=outcome, cause=cause)


def plain(lines: list[Line]) -> list[str]:
    return ["".join(piece.text for piece in line) for line in lines]


def style_of(lines: list[Line], word: str) -> str:
    return next(piece.style for line in lines for piece in line if word in piece.text)


def test_areas_and_tests_with_failures_are_first() -> None:
    lines = plain(
        matrix(
            [
                result("a/test_x.py::test_a"),
                result("b/test_x.py::test_a"),
                result("b/test_x.py::test_z", FAILED, "because"),
                result("c/test_x.py::test_skipped", SKIPPED, "no gateway"),
            ],
            width=80,
            marks=ASCII,
        )
    )
    assert [line.split()[:2] for line in lines] == [
        ["b"], ["x", "z"], ["because"], ["+", "a"], ["a"], ["+", "a"], ["c"], ["-", "skipped"],
    ]  # fmt: skip


def test_parameters_are_shown_only_where_not_all_passed() -> None:
    same = [result(f"a/test_x.py::test_same[{number}]") for number in range(3)]
    differ = [result("a/test_x.py::test_differ[one]"), result("a/test_x.py::test_differ[two]", ERROR, "broken")]
    lines = plain(matrix([*same, *differ], width=80, marks=ASCII))
    assert lines[1].split() == ["!", "differ", "+", "one", "!", "two"]
    assert lines[2].split() == ["two:", "broken"]
    assert lines[3].split() == ["+", "same", "3", "of", "3"]
    assert lines[1].index("+ one") == lines[3].index("3 of 3")


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_lines_fit_the_width(width: int) -> None:
    cases = [
        result(f"area/test_x.py::test_{name}[{host}-{port}]", FAILED if port == 80 else PASSED, LONG)
        for name in ("short", "a_behaviour_with_quite_a_long_name_indeed")
        for host in ("listed", "unlisted", "literal-address")
        for port in (80, 443, 8080)
    ]
    lines = plain(matrix(cases, width=width))
    assert max(len(line.rstrip()) for line in lines) <= max(width, 52)
    text = " ".join(" ".join(lines).split())
    assert text.count(f"listed-80, unlisted-80, literal-address-80: {LONG}") == 2
    assert text.count("literal-address-8080") == 2


def test_reasons_of_skips_are_counted() -> None:
    skipped = [result(f"a/test_x.py::test_{number}", SKIPPED, "no gateway") for number in range(3)]
    lines = plain(reasons([*skipped, result("a/test_y.py::test_y", SKIPPED, "no CRD")], width=80))
    assert [line.split() for line in lines[1:]] == [["3", "no", "gateway"], ["1", "no", "CRD"]]
    assert reasons([result("a/test_x.py::test_a")], width=80) == []


def test_totals_count_by_result() -> None:
    line = totals([result("a/b::c"), result("a/b::d", FAILED), result("a/b::e", FAILED)], 12.34)
    assert plain([line]) == ["2 failed, 1 passed in 12.3 s"]
    whole = [result(f"a/b::c[{number}]") for number in range(375)] + [result(f"a/b::s{n}", SKIPPED) for n in range(2)]
    assert plain([totals(whole, 87.0)]) == ["375 passed, 2 skipped in 87.0 s"]
    assert style_of([line], "failed") == "red"
    assert style_of([line], "1 passed") == "green"


def test_marks_are_distinct() -> None:
    for marks in (ASCII, UNICODE):
        assert len({marks.of(outcome) for outcome in (PASSED, FAILED, SKIPPED, ERROR)}) == 4


class Report:
    """The parts of pytest's report that are read."""

    def __init__(self, outcome: str, *records: dict[str, object], longrepr: object = None) -> None:
        self.nodeid = "conformance/a/test_x.py::test_x[one]"
        self.outcome = outcome
        self.longrepr = longrepr
        self.user_properties = [("other", "1"), *(("istio-egress", dict(one)) for one in records)]


def gathered(*reports: tuple[str, Report]) -> Result:
    results = Results()
    for when, report in reports:
        results.add(report, when)
    [only] = results.all()
    return only


GOOD: dict[str, object] = {"result": PASSED, "summary": "It works", "attempts": 3}
BAD: dict[str, object] = {"result": FAILED, "cause": "because"}


def test_result_is_read_from_its_reports() -> None:
    passed = gathered(
        ("setup", Report("passed")), ("call", Report("passed", GOOD)), ("teardown", Report("passed", GOOD))
    )
    assert (passed.result, passed.summary, passed.attempts, passed.area) == (PASSED, "It works", 3, "a")
    assert (passed.test, passed.parameter) == ("conformance/a/test_x.py::test_x", "one")


def test_worst_of_several_records_counts() -> None:
    failed = gathered(("call", Report("failed", GOOD, BAD)), ("teardown", Report("passed", GOOD, BAD)))
    assert (failed.result, failed.cause) == (FAILED, "because")


def test_failure_without_a_record_is_an_error() -> None:
    assert gathered(("call", Report("failed", longrepr="E: no JSON"))).result == ERROR
    assert gathered(("call", Report("failed", GOOD, longrepr="E: later"))).cause == "E: later"
    after = gathered(("call", Report("passed", GOOD)), ("teardown", Report("failed", GOOD, longrepr="stuck")))
    assert (after.result, after.cause) == (ERROR, "teardown: stuck")


def test_skip_has_its_reason() -> None:
    skipped = gathered(("setup", Report("skipped", longrepr=("f.py", 1, "Skipped: no gateway"))))
    assert (skipped.result, skipped.cause) == (SKIPPED, "no gateway")


def test_flattened_properties_are_text() -> None:
    difference = {"hop": "client", "field": "HTTP status", "expected": "504", "seen": "200"}
    record = {"seconds": 0.5, "gateway": None, "cause": "x", "sidecar": {"line": "l"}, "differences": [difference]}
    assert flattened([("other", 1), ("istio-egress", record | {"equal_values": {"exit": ["52", "56"]}})]) == [
        ("other", 1),
        ("istio-egress.seconds", "0.5"),
        ("istio-egress.cause", "x"),
        ("istio-egress.sidecar", "l"),
        ("istio-egress.differences", "HTTP status: expected 504, got 200"),
    ]
