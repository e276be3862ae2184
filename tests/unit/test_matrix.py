"""The summary fits its width and puts what needs attention first."""

from __future__ import annotations

import pytest

from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED, SKIPPED
from pytest_istio_egress.report.matrix import ASCII, UNICODE, Line, matrix, reasons, totals
from pytest_istio_egress.report.results import Result, Results, flat

LONG = "Envoy answered by itself because the VirtualService is bound to a gateway that this client does not go through"


def result(name: str, outcome: str = PASSED, cause: str = "") -> Result:
    area = name.partition("/")[0]
    return Result(id=f"conformance/{name}", area=area, result=outcome, cause=cause)


def plain(lines: list[Line]) -> list[str]:
    return ["".join(piece.text for piece in line) for line in lines]


def style_of(lines: list[Line], word: str) -> str:
    return next(piece.style for line in lines for piece in line if word in piece.text)


def test_failures_come_first() -> None:
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


def test_cells_only_where_they_differ() -> None:
    same = [result(f"a/test_x.py::test_same[{number}]") for number in range(3)]
    differ = [result("a/test_x.py::test_differ[one]"), result("a/test_x.py::test_differ[two]", ERROR, "broken")]
    lines = plain(matrix([*same, *differ], width=80, marks=ASCII))
    assert lines[1].split() == ["!", "differ", "+", "one", "!", "two"]
    assert lines[2].split() == ["two:", "broken"]
    assert lines[3].split() == ["+", "same", "3", "of", "3"]
    assert lines[1].index("+ one") == lines[3].index("3 of 3")


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_width(width: int) -> None:
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


def test_reasons_are_grouped() -> None:
    skipped = [result(f"a/test_x.py::test_{number}", SKIPPED, "no gateway") for number in range(3)]
    lines = plain(reasons([*skipped, result("a/test_y.py::test_y", SKIPPED, "no CRD")], width=80))
    assert [line.split() for line in lines[1:]] == [["3", "no", "gateway"], ["1", "no", "CRD"]]
    assert reasons([result("a/test_x.py::test_a")], width=80) == []


def test_totals() -> None:
    line = totals([result("a/b::c"), result("a/b::d", FAILED), result("a/b::e", FAILED)], 12.34)
    assert plain([line]) == ["2 do not hold, 1 holds in 12.3 s"]
    assert style_of([line], "do not hold") == "red"
    assert style_of([line], "1 holds") == "green"


def test_marks_differ() -> None:
    for marks in (ASCII, UNICODE):
        assert len({marks.of(outcome) for outcome in (PASSED, FAILED, SKIPPED, ERROR)}) == 4


class Report:
    """A report as pytest makes it."""

    def __init__(self, outcome: str, *said: dict[str, object], longrepr: object = None) -> None:
        self.nodeid = "conformance/a/test_x.py::test_x[one]"
        self.outcome = outcome
        self.longrepr = longrepr
        self.user_properties = [("other", "1"), *(("istio-egress", dict(one)) for one in said)]


def found(*reports: tuple[str, Report]) -> Result:
    results = Results()
    for when, report in reports:
        results.add(report, when)
    [only] = results.all()
    return only


HELD: dict[str, object] = {"outcome": PASSED, "says": "it holds", "attempts": 3}
BROKEN: dict[str, object] = {"outcome": FAILED, "cause": "because"}


def test_a_result_is_read_from_its_reports() -> None:
    held = found(("setup", Report("passed")), ("call", Report("passed", HELD)), ("teardown", Report("passed", HELD)))
    assert (held.result, held.summary, held.attempts, held.area) == (PASSED, "it holds", 3, "a")
    assert (held.test, held.parameter) == ("conformance/a/test_x.py::test_x", "one")


def test_the_worst_of_several_counts() -> None:
    broken = found(("call", Report("failed", HELD, BROKEN)), ("teardown", Report("passed", HELD, BROKEN)))
    assert (broken.result, broken.cause) == (FAILED, "because")


def test_a_failure_without_a_verdict_is_an_error() -> None:
    assert found(("call", Report("failed", longrepr="E: no JSON"))).result == ERROR
    assert found(("call", Report("failed", HELD, longrepr="E: later"))).cause == "E: later"
    after = found(("call", Report("passed", HELD)), ("teardown", Report("failed", HELD, longrepr="stuck")))
    assert (after.result, after.cause) == (ERROR, "teardown: stuck")


def test_a_skip_gives_its_reason() -> None:
    skipped = found(("setup", Report("skipped", longrepr=("f.py", 1, "Skipped: no gateway"))))
    assert (skipped.result, skipped.cause) == (SKIPPED, "no gateway")


def test_flat_properties_are_text() -> None:
    spread = flat([("other", 1), ("istio-egress", {"seconds": 0.5, "envoy": "", "cause": "x"})])
    assert spread == [("other", 1), ("istio-egress.seconds", "0.5"), ("istio-egress.cause", "x")]
