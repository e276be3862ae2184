"""The comparison of two runs: each change has its kind, and noise is no change."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_istio_egress.cli import main as cli
from pytest_istio_egress.model.hop_log import HopLog
from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, PASSED, SKIPPED
from pytest_istio_egress.report.comparison import BETTER, CHANGED, GONE, NEW, WORSE, compare_runs, environment_changes
from pytest_istio_egress.report.comparison_text import markdown_text, terminal_lines
from pytest_istio_egress.report.document import FORMAT_VERSION, Run, RunInfo, report_text
from pytest_istio_egress.report.reader import LARGEST
from pytest_istio_egress.report.results import Result

LINE = (
    '[2026-11-21T11:55:08.962Z] "GET /headers HTTP/1.1" {status} {flags} {details} - "-" 0 437 36 26 "-" '
    '"istio-egress/{id}" "f78c-{id}" "api.test" "192.0.2.80:80" {cluster} 10.244.0.46:{id} 192.0.2.80:80 '
    "10.244.0.46:{id} - default"
)
ID = "conformance/a/test_x.py::test_x"


def result(name: str = PASSED, **fields: object) -> Result:
    return replace(Result(id=ID, result=name, area="a", exit=0, status=200, seconds=0.1), **fields)  # type: ignore[arg-type]  # any field


def line(
    number: int = 1,
    status: int = 200,
    flags: str = "-",
    cluster: str = "outbound|80||api.test",
    details: str = "via_upstream",
) -> HopLog:
    raw = LINE.format(id=number, status=status, flags=flags, cluster=cluster, details=details)
    return HopLog.parse(raw)


def run(*results: Result, **info: str) -> Run:
    return Run(info=RunInfo(suite="1", **info), results=results)  # type: ignore[arg-type]  # texts only


def kinds(before: list[Result], after: list[Result]) -> list[str]:
    return [change.kind for change in compare_runs(run(*before), run(*after))]


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (PASSED, FAILED, WORSE),
        (PASSED, ERROR, WORSE),
        (PASSED, SKIPPED, WORSE),
        (PASSED, KNOWN_DEVIATION, WORSE),
        (SKIPPED, FAILED, WORSE),
        (FAILED, ERROR, WORSE),
        (FAILED, PASSED, BETTER),
        (KNOWN_DEVIATION, PASSED, BETTER),
        (ERROR, PASSED, BETTER),
        (SKIPPED, PASSED, BETTER),
        (FAILED, SKIPPED, CHANGED),
        (ERROR, FAILED, CHANGED),
        (PASSED, PASSED, None),
        (FAILED, KNOWN_DEVIATION, None),
    ],
)
def test_change_of_the_result_has_a_kind(before: str, after: str, kind: str | None) -> None:
    assert kinds([result(before)], [result(after)]) == ([kind] if kind else [])


def test_parameters_of_one_run_only_are_new_or_gone() -> None:
    other = replace(result(), id=ID + "[other]")
    assert kinds([result(), other], [result()]) == [GONE]
    assert kinds([result()], [result(), other]) == [NEW]


@pytest.mark.parametrize(
    ("fields", "difference"),
    [
        ({"exit": 52, "status": 0}, "curl exit code: 0 -> 52"),
        ({"sidecar": line(2, flags="UT")}, "sidecar flags: none -> UT"),
        (
            {"sidecar": line(2, cluster="PassthroughCluster")},
            "sidecar cluster: outbound|80||api.test -> PassthroughCluster",
        ),
        ({"sidecar": None}, "sidecar access log: a line -> no line"),
        ({"gateway": line(3)}, "gateway access log: no line -> a line"),
        ({"forward_proxy": line(3)}, "forward proxy access log: no line -> a line"),
        ({"response_headers": ("date", "server: envoy", "x-new: 1")}, "new: x-new"),
        ({"response_headers": ("date",)}, "gone: server"),
        ({"response_headers": ("date", "server: istio-envoy")}, "response header server: envoy -> istio-envoy"),
        ({"server_saw": "server second"}, "external server saw: server outside -> server second"),
        ({"seconds": 3.0}, "seconds: 0.1 -> 3.0"),
        ({"sidecar": replace(line(1), seconds=1.5), "seconds": 1.6}, "sidecar seconds: 0.0 -> 1.5"),
        ({"expected": "status 503"}, "expected outcome: status 200 -> status 503"),
    ],
)
def test_difference_within_the_same_result_is_a_change(fields: dict[str, object], difference: str) -> None:
    headers = ("date", "server: envoy")
    before = result(sidecar=line(1), response_headers=headers, server_saw="server outside", expected="status 200")
    [change] = compare_runs(run(before), run(replace(before, **fields)))  # type: ignore[arg-type]  # any field
    assert change.kind == CHANGED
    assert difference in "; ".join(change.differences)


def test_ports_ids_and_short_times_are_no_change() -> None:
    before = result(sidecar=line(1), seconds=0.02, attempts=1, response_headers=("date", "server"))
    after = result(sidecar=line(2), seconds=0.9, attempts=4, response_headers=("date", "server: envoy"))
    assert kinds([before], [after]) == []


@pytest.mark.parametrize(("before", "after", "changed"), [(56, 52, False), (55, 56, False), (56, 35, True)])
def test_exit_52_55_56_are_the_same_outcome(before: int, after: int, changed: bool) -> None:  # noqa: FBT001  # a parameter
    assert kinds([result(exit=before)], [result(exit=after)]) == ([CHANGED] if changed else [])


@pytest.mark.parametrize(
    ("name", "flags", "changed"), [("sidecar", "UF", False), ("gateway", "UF", False), ("sidecar", "UH", True)]
)
def test_flags_that_the_expected_outcome_accepts_are_the_same(name: str, flags: str, *, changed: bool) -> None:
    logged = {name: line(1, flags="NC", details="cluster_not_found")}
    before = replace(result(equal_values={name: ("NC", "UF")}), **logged)  # type: ignore[arg-type]  # any field
    after = replace(before, **{name: line(2, flags=flags, details="upstream_reset")})  # type: ignore[arg-type]  # any field
    assert kinds([before], [after]) == ([CHANGED] if changed else [])


def test_exits_that_the_expected_outcome_accepts_are_the_same() -> None:
    refused = result(exit=7, equal_values={"exit": ("28", "7")})
    assert kinds([refused], [replace(refused, exit=28)]) == []
    assert kinds([refused], [replace(refused, exit=35)]) == [CHANGED]


def test_lines_in_an_unknown_format_are_not_compared() -> None:
    before, after = (result(sidecar=HopLog.parse(f"custom {number}")) for number in (1, 2))
    assert kinds([before], [after]) == []
    assert kinds([before], [replace(after, sidecar=line())]) == []


@pytest.mark.parametrize(("before", "after", "changed"), [(3.0, 5.0, True), (5.0, 3.0, True), (5.0, 6.1, False)])
def test_duration_is_a_change_only_outside_the_noise(before: float, after: float, changed: bool) -> None:  # noqa: FBT001  # a parameter
    assert kinds([result(seconds=before)], [result(seconds=after)]) == ([CHANGED] if changed else [])


def test_environment_changes_name_versions() -> None:
    before = run(result(envoy_version="1.36.4"), kubernetes="v1.36", istio="1.30")
    after = run(result(envoy_version="1.40.0"), kubernetes="v1.36", istio="1.30")
    assert environment_changes(before, after) == ["Envoy: 1.36.4 -> 1.40.0"]


def test_texts_have_each_change() -> None:
    worse = result(FAILED, cause="a | b <script>", exit=0)
    changes = compare_runs(run(result()), run(worse, replace(result(), id=ID + "[n]")))
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
    before.write_text(report_text(run(result(), replace(result(), id=ID + "[other]", exit=56))), encoding="utf-8")
    after.write_text(report_text(run(result(FAILED), replace(result(), id=ID + "[other]", exit=35))), encoding="utf-8")
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
def test_fail_on_decides_the_exit_code(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str], more: list[str], code: int
) -> None:
    assert cli.main(["compare", *files, *more]) == code
    printed = capsys.readouterr().out
    assert "1 worse, 1 changed" in printed
    assert printed.splitlines()[-1].startswith("fails" if code else "passes")


def test_equal_runs_have_no_differences(files: tuple[str, str]) -> None:
    everything = ["--fail-on", "worse,better,changed,new,gone"]
    assert cli.main(["compare", files[0], files[0], *everything]) == 0


def test_comparison_of_a_run_with_itself_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, copy = tmp_path / "before.yaml", tmp_path / "copy.yaml"
    for path in (before, copy):
        path.write_text(report_text(run(result(), run="k3x9qb", began="2026-11-21T11:12:03+00:00")), encoding="utf-8")
    for after in (before, copy):
        assert cli.main(["compare", str(before), str(after), "--fail-on", "none"]) == 2
        assert "same run" in error_line(capsys)


def test_interrupted_later_run_is_exit_2(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = tmp_path / "stopped.yaml"
    stopped.write_text(report_text(Run(info=RunInfo(suite="1", complete=False), results=[result()])), encoding="utf-8")
    assert cli.main(["compare", files[0], str(stopped), "--fail-on", "none"]) == 2
    printed = capsys.readouterr()
    assert "gone" in printed.out
    assert "interrupted" in printed.err
    assert cli.main(["compare", str(stopped), str(stopped), "--fail-on", "none"]) == 2
    capsys.readouterr()
    assert cli.main(["compare", str(stopped), files[0]]) == 0
    assert "stopped before its end" in capsys.readouterr().out


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    return printed.err


WHOLE = report_text(run(result(), run="other"))
LAUGHS = "a: &a [x, x]\n" + "".join(f"{to}: &{to} [*{at}, *{at}, *{at}]\n" for at, to in pairwise("abcdefghijklmno"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a report"),
        ("<testsuites/>", "not a report"),
        ('{"uid": "x", "statusDetails": {}}', "not a report"),
        (WHOLE.replace(f"version: {FORMAT_VERSION}\n", "version: 0\n", 1), "unsupported report version 0"),
        (WHOLE[: len(WHOLE) // 2], "truncated"),
        ("a: [", "not YAML"),
        ("\x00", "not YAML"),
        (LAUGHS, "not a report"),
        (WHOLE + LAUGHS.replace("a: ", "bomb: ", 1) + "tests: *o\n", "damaged|not YAML"),
        (WHOLE.replace("result: passed", "result: [passed]"), "damaged"),
        (WHOLE.replace("exit: 0", "exit: zero"), "damaged"),
        (WHOLE.replace("features: {}", "features: 7"), "damaged"),
        (WHOLE.replace("target:\n", "target: x\nother:\n"), "damaged"),
    ],
    ids=[
        "empty", "junit", "allure", "older", "cut", "not-yaml", "binary", "bomb", "bomb-in-a-report",
        "wrong-result", "wrong-number", "wrong-features", "wrong-target",
    ],
)  # fmt: skip
def test_unreadable_report_is_exit_2(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(content, encoding="utf-8")
    for before, after in ((files[0], str(other)), (str(other), files[0])):
        assert cli.main(["compare", before, after, "--fail-on", "none"]) == 2
        line = error_line(capsys)
        assert str(other) in line
        assert re.search(message, line)


def test_missing_file_folder_and_huge_file_are_exit_2(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        os.truncate(file.fileno(), LARGEST + 1)
    for other, message in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "directory"), (huge, "MiB")):
        assert cli.main(["compare", files[0], str(other)]) == 2
        assert message in error_line(capsys)


def test_file_without_read_permission_is_exit_2(files: tuple[str, str], tmp_path: Path) -> None:
    closed = tmp_path / "closed.yaml"
    closed.write_text(WHOLE, encoding="utf-8")
    closed.chmod(0)
    command = [sys.executable, "-m", "pytest_istio_egress.cli", "compare", files[0], str(closed)]
    if os.geteuid() == 0:  # root reads everything, unless it gives that right up
        if not shutil.which("setpriv"):
            pytest.skip("root, and no setpriv to give up root's rights with")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Permission denied" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_unknown_kind_is_a_usage_error(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["compare", *files, "--fail-on", "wrose"])
    assert caught.value.code == 2
    assert "unknown kind 'wrose' (choose from worse, gone" in capsys.readouterr().err


def test_markdown_file_is_written(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    cli.main(["compare", *files, "--markdown", str(page)])
    assert ID in page.read_text(encoding="utf-8").replace("\\", "")
    for option in ("--markdown", "--html"):
        assert cli.main(["compare", *files, option, str(tmp_path)]) == 2
        assert str(tmp_path) in capsys.readouterr().err


def expecting(address: str, *assigned: str) -> Result:
    return result(expected=f"status 200, connected to {address}", assigned_addresses=assigned)


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (expecting("10.96.118.91", "10.96.118.91"), expecting("10.96.225.147", "10.96.225.147"), False),
        (expecting("fd00:10:96::7", "fd00:10:96::7"), expecting("fd00:10:96::8", "fd00:10:96::8"), False),
        (expecting("10.0.0.12", "10.0.0.1", "10.0.0.12"), expecting("10.0.0.25", "10.0.0.2", "10.0.0.25"), False),
        (expecting("198.51.100.7"), expecting("198.51.100.8"), True),
        (expecting("2001:db8::7"), expecting("10.96.118.91", "10.96.118.91"), True),
    ],
)
def test_assigned_address_in_an_expected_outcome_is_no_change(before: Result, after: Result, changed: bool) -> None:  # noqa: FBT001  # what is expected
    assert kinds([before], [after]) == ([CHANGED] if changed else [])


def test_less_than_a_second_in_envoy_is_noise() -> None:
    slow, fast = (result(sidecar=replace(line(1), seconds=seconds)) for seconds in (0.6, 0.0))
    assert kinds([slow], [fast]) == kinds([fast], [slow]) == []
