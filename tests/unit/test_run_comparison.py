"""Two runs beside each other: each change in its kind, and only what really differs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_istio_egress import cli
from pytest_istio_egress.report.comparison_text import markdown_text, terminal_lines
from pytest_istio_egress.report.conformance_report import About, Run, report_text
from pytest_istio_egress.report.results import CANNOT_BE_ASKED, DOES_NOT_HOLD, ERROR, HOLDS, KNOWN, Result
from pytest_istio_egress.report.run_comparison import (
    BETTER,
    CHANGED,
    GONE,
    NEW,
    WORSE,
    compare_runs,
    differences_about,
)

LINE = (
    '[2026-11-21T11:55:08.962Z] "GET /headers HTTP/1.1" {status} {flags} via_upstream - "-" 0 437 36 26 "-" '
    '"istio-egress/{id}" "f78c-{id}" "api.test" "192.0.2.80:80" {cluster} 10.244.0.46:{id} 192.0.2.80:80 '
    "10.244.0.46:{id} - default"
)
ID = "conformance/a/test_x.py::test_x"


def result(outcome: str = HOLDS, **more: object) -> Result:
    return replace(Result(case=ID, outcome=outcome, area="a", exit=0, status=200, seconds=0.1), **more)  # type: ignore[arg-type]  # any field


def line(number: int = 1, status: int = 200, flags: str = "-", cluster: str = "outbound|80||api.test") -> str:
    return LINE.format(id=number, status=status, flags=flags, cluster=cluster)


def run(*results: Result, **about: str) -> Run:
    return Run(about=About(suite="1", **about), results=results)  # type: ignore[arg-type]  # texts only


def kinds(before: list[Result], after: list[Result]) -> list[str]:
    return [change.kind for change in compare_runs(run(*before), run(*after))]


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (HOLDS, DOES_NOT_HOLD, WORSE),
        (HOLDS, ERROR, WORSE),
        (HOLDS, CANNOT_BE_ASKED, WORSE),
        (HOLDS, KNOWN, WORSE),
        (CANNOT_BE_ASKED, DOES_NOT_HOLD, WORSE),
        (DOES_NOT_HOLD, ERROR, WORSE),
        (DOES_NOT_HOLD, HOLDS, BETTER),
        (KNOWN, HOLDS, BETTER),
        (ERROR, HOLDS, BETTER),
        (CANNOT_BE_ASKED, HOLDS, BETTER),
        (DOES_NOT_HOLD, CANNOT_BE_ASKED, CHANGED),
        (ERROR, DOES_NOT_HOLD, CHANGED),
        (HOLDS, HOLDS, None),
        (DOES_NOT_HOLD, KNOWN, None),
    ],
)
def test_outcomes(before: str, after: str, kind: str | None) -> None:
    assert kinds([result(before)], [result(after)]) == ([kind] if kind else [])


def test_new_and_gone() -> None:
    other = replace(result(), case=ID + "[other]")
    assert kinds([result(), other], [result()]) == [GONE]
    assert kinds([result()], [result(), other]) == [NEW]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"exit": 52, "status": 0}, "exit code: 0 -> 52"),
        ({"envoy": line(2, flags="UT")}, "flags: - -> UT"),
        ({"envoy": line(2, cluster="PassthroughCluster")}, "cluster: outbound|80||api.test -> PassthroughCluster"),
        ({"envoy": ""}, "log line: there -> none"),
        ({"gateway": line(3)}, "gateway's log line: none -> there"),
        ({"headers": ("date", "x-new")}, "x-new"),
        ({"outside": "server second"}, "server second"),
        ({"seconds": 3.0}, "seconds: 0.1 -> 3.0"),
        ({"expected": "status 503"}, "asked otherwise"),
    ],
)
def test_changed_though_right(more: dict[str, object], told: str) -> None:
    before = result(envoy=line(1), headers=("date",), outside="server outside", expected="status 200")
    [change] = compare_runs(run(before), run(replace(before, **more)))  # type: ignore[arg-type]  # any field
    assert change.kind == CHANGED
    assert told in "; ".join(change.what)


def test_noise_is_no_change() -> None:
    before = result(envoy=line(1), seconds=0.02, attempts=1)
    after = result(envoy=line(2), seconds=0.9, attempts=4)
    assert kinds([before], [after]) == []


def test_meshes_that_differ() -> None:
    before = run(result(envoy_version="1.36.4"), kubernetes="v1.36", istio="1.30")
    after = run(result(envoy_version="1.40.0"), kubernetes="v1.36", istio="1.30")
    assert differences_about(before, after) == ["Envoy: 1.36.4 -> 1.40.0"]


def test_pages() -> None:
    worse = result(DOES_NOT_HOLD, cause="a | b <script>", exit=0)
    changes = compare_runs(run(result()), run(worse, replace(result(), case=ID + "[n]")))
    text = "\n".join(terminal_lines(changes, ["Envoy: 1 -> 2"], 80))
    assert text.index("worse") < text.index("new")
    assert text.endswith("1 worse, 1 new")
    page = markdown_text(changes, [])
    assert "<script>" not in page
    rows = [row for row in page.splitlines() if row.startswith("| conf")]
    assert all(row.replace("\\|", "").count("|") == 3 for row in rows)
    assert len(rows) == 2


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    before, after = tmp_path / "before.yaml", tmp_path / "after.yaml"
    before.write_text(report_text(run(result(), replace(result(), case=ID + "[52]", exit=56))), encoding="utf-8")
    after.write_text(
        report_text(run(result(DOES_NOT_HOLD), replace(result(), case=ID + "[52]", exit=52))), encoding="utf-8"
    )
    return str(before), str(after)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ([], 1),
        (["--fail-on", "worse"], 1),
        (["--fail-on", "changed,new"], 1),
        (["--fail-on", "new,gone"], 0),
        (["--fail-on", "none"], 0),
    ],
)
def test_policy(files: tuple[str, str], capsys: pytest.CaptureFixture[str], more: list[str], code: int) -> None:
    assert cli.main(["compare", *files, *more]) == code
    assert "1 worse, 1 changed" in capsys.readouterr().out


def test_same_file_differs_in_nothing(files: tuple[str, str]) -> None:
    everything = ["--fail-on", "worse,better,changed,new,gone"]
    assert cli.main(["compare", files[0], files[0], *everything]) == 0


def test_unreadable(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "junit.xml"
    other.write_text("<testsuites/>")
    for before, after in ((files[0], str(other)), (str(other), files[0]), (files[0], str(tmp_path / "none"))):
        assert cli.main(["compare", before, after]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert len(told.err.splitlines()) == 1
    with pytest.raises(SystemExit) as refused:
        cli.main(["compare", *files, "--fail-on", "wrose"])
    assert refused.value.code == 2


def test_markdown_file(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    cli.main(["compare", *files, "--markdown", str(page)])
    assert ID in page.read_text(encoding="utf-8").replace("\\", "")
    assert cli.main(["compare", *files, "--markdown", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
