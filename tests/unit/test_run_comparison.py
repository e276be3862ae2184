"""Two runs beside each other: each change in its kind, and only what really differs."""

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
from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, PASSED, SKIPPED
from pytest_istio_egress.report.comparison import BETTER, CHANGED, GONE, NEW, WORSE, compare_runs, differences_about
from pytest_istio_egress.report.comparison_text import markdown_text, terminal_lines
from pytest_istio_egress.report.document import FORMAT_VERSION, Run, RunInfo, report_text
from pytest_istio_egress.report.reader import LARGEST
from pytest_istio_egress.report.results import Result

LINE = (
    '[2026-11-21T11:55:08.962Z] "GET /headers HTTP/1.1" {status} {flags} via_upstream - "-" 0 437 36 26 "-" '
    '"istio-egress/{id}" "f78c-{id}" "api.test" "192.0.2.80:80" {cluster} 10.244.0.46:{id} 192.0.2.80:80 '
    "10.244.0.46:{id} - default"
)
ID = "conformance/a/test_x.py::test_x"


def result(outcome: str = PASSED, **more: object) -> Result:
    return replace(Result(id=ID, result=outcome, area="a", exit=0, status=200, seconds=0.1), **more)  # type: ignore[arg-type]  # any field


def line(number: int = 1, status: int = 200, flags: str = "-", cluster: str = "outbound|80||api.test") -> str:
    return LINE.format(id=number, status=status, flags=flags, cluster=cluster)


def run(*results: Result, **about: str) -> Run:
    return Run(info=RunInfo(suite="1", **about), results=results)  # type: ignore[arg-type]  # texts only


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
def test_outcomes(before: str, after: str, kind: str | None) -> None:
    assert kinds([result(before)], [result(after)]) == ([kind] if kind else [])


def test_new_and_gone() -> None:
    other = replace(result(), id=ID + "[other]")
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
        ({"headers": ("date", "server: envoy", "x-new: 1")}, "new: x-new"),
        ({"headers": ("date",)}, "gone: server"),
        ({"headers": ("date", "server: istio-envoy")}, "header server of the answer: envoy -> istio-envoy"),
        ({"outside": "server second"}, "server second"),
        ({"seconds": 3.0}, "seconds: 0.1 -> 3.0"),
        ({"expected": "status 503"}, "asked otherwise"),
    ],
)
def test_changed_though_right(more: dict[str, object], told: str) -> None:
    headers = ("date", "server: envoy")
    before = result(envoy=line(1), headers=headers, outside="server outside", expected="status 200")
    [change] = compare_runs(run(before), run(replace(before, **more)))  # type: ignore[arg-type]  # any field
    assert change.kind == CHANGED
    assert told in "; ".join(change.differences)


def test_noise_is_no_change() -> None:
    before = result(envoy=line(1), seconds=0.02, attempts=1, headers=("date", "server"))
    after = result(envoy=line(2), seconds=0.9, attempts=4, headers=("date", "server: envoy"))
    assert kinds([before], [after]) == []


@pytest.mark.parametrize(("before", "after", "changed"), [(56, 52, False), (55, 56, False), (56, 35, True)])
def test_the_faces_of_a_dropped_connection_are_one(before: int, after: int, changed: bool) -> None:  # noqa: FBT001  # a parameter
    assert kinds([result(exit=before)], [result(exit=after)]) == ([CHANGED] if changed else [])


@pytest.mark.parametrize(("before", "after", "changed"), [(3.0, 5.0, True), (5.0, 3.0, True), (5.0, 6.1, False)])
def test_time_outside_the_noise(before: float, after: float, changed: bool) -> None:  # noqa: FBT001  # a parameter
    assert kinds([result(seconds=before)], [result(seconds=after)]) == ([CHANGED] if changed else [])


def test_meshes_that_differ() -> None:
    before = run(result(envoy_version="1.36.4"), kubernetes="v1.36", istio="1.30")
    after = run(result(envoy_version="1.40.0"), kubernetes="v1.36", istio="1.30")
    assert differences_about(before, after) == ["Envoy: 1.36.4 -> 1.40.0"]


def test_pages() -> None:
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
def test_policy(files: tuple[str, str], capsys: pytest.CaptureFixture[str], more: list[str], code: int) -> None:
    assert cli.main(["compare", *files, *more]) == code
    told = capsys.readouterr().out
    assert "1 worse, 1 changed" in told
    assert told.splitlines()[-1].startswith("fails" if code else "passes")


def test_equal_runs_differ_in_nothing(files: tuple[str, str]) -> None:
    everything = ["--fail-on", "worse,better,changed,new,gone"]
    assert cli.main(["compare", files[0], files[0], *everything]) == 0


def test_a_run_is_not_compared_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, copy = tmp_path / "before.yaml", tmp_path / "copy.yaml"
    for path in (before, copy):
        path.write_text(report_text(run(result(), run="k3x9qb", began="2026-11-21T11:12:03+00:00")), encoding="utf-8")
    for after in (before, copy):
        assert cli.main(["compare", str(before), str(after), "--fail-on", "none"]) == 2
        assert "same run" in the_line(capsys)


def test_a_run_that_was_stopped_is_no_gate(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = tmp_path / "stopped.yaml"
    stopped.write_text(report_text(Run(info=RunInfo(suite="1", complete=False), results=[result()])), encoding="utf-8")
    assert cli.main(["compare", files[0], str(stopped), "--fail-on", "none"]) == 2
    told = capsys.readouterr()
    assert "gone" in told.out
    assert "stopped" in told.err
    assert cli.main(["compare", str(stopped), str(stopped), "--fail-on", "none"]) == 2
    capsys.readouterr()
    assert cli.main(["compare", str(stopped), files[0]]) == 0
    assert "stopped before its end" in capsys.readouterr().out


def the_line(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    return told.err


WHOLE = report_text(run(result(), run="other"))
LAUGHS = "a: &a [x, x]\n" + "".join(f"{to}: &{to} [*{at}, *{at}, *{at}]\n" for at, to in pairwise("abcdefghijklmno"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "not a report"),
        ("<testsuites/>", "not a report"),
        ('{"uid": "x", "statusDetails": {}}', "not a report"),
        (WHOLE.replace(f"version: {FORMAT_VERSION}\n", "version: 0\n", 1), "older"),
        (WHOLE[: len(WHOLE) // 2], "cut"),
        ("a: [", "not YAML"),
        ("\x00", "not YAML"),
        (LAUGHS, "not a report"),
        (WHOLE + LAUGHS.replace("a: ", "bomb: ", 1) + "behaviours: *o\n", "damaged|not YAML"),
        (WHOLE.replace("outcome: holds", "outcome: [holds]"), "damaged"),
        (WHOLE.replace("exit: 0", "exit: zero"), "damaged"),
        (WHOLE.replace("features: {}", "features: 7"), "damaged"),
        (WHOLE.replace("target:\n", "target: x\nother:\n"), "damaged"),
    ],
    ids=[
        "empty", "junit", "allure", "older", "cut", "not-yaml", "binary", "bomb", "bomb-in-a-report",
        "wrong-outcome", "wrong-number", "wrong-features", "wrong-target",
    ],
)  # fmt: skip
def test_unreadable(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, told: str
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(content, encoding="utf-8")
    for before, after in ((files[0], str(other)), (str(other), files[0])):
        assert cli.main(["compare", before, after, "--fail-on", "none"]) == 2
        line = the_line(capsys)
        assert str(other) in line
        assert re.search(told, line)


def test_no_file(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        os.truncate(file.fileno(), LARGEST + 1)
    for other, told in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "directory"), (huge, "MiB")):
        assert cli.main(["compare", files[0], str(other)]) == 2
        assert told in the_line(capsys)


def test_not_allowed_to_read(files: tuple[str, str], tmp_path: Path) -> None:
    closed = tmp_path / "closed.yaml"
    closed.write_text(WHOLE, encoding="utf-8")
    closed.chmod(0)
    command = [sys.executable, "-m", "pytest_istio_egress.cli.main", "compare", files[0], str(closed)]
    if os.geteuid() == 0:  # root reads everything, unless it gives that right up
        if not shutil.which("setpriv"):
            pytest.skip("root, and no setpriv to give up root's rights with")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Permission denied" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_unknown_policy(files: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as refused:
        cli.main(["compare", *files, "--fail-on", "wrose"])
    assert refused.value.code == 2


def test_markdown_file(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    cli.main(["compare", *files, "--markdown", str(page)])
    assert ID in page.read_text(encoding="utf-8").replace("\\", "")
    for option in ("--markdown", "--html"):
        assert cli.main(["compare", *files, option, str(tmp_path)]) == 2
        assert str(tmp_path) in capsys.readouterr().err
