"""What is kept of a case that does not hold: all that there is, beside the report, without secrets, whatever fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from xml.etree import ElementTree

import planted  # type: ignore[import-not-found]  # pytest puts this folder on the path
import pytest
import yaml
from repository import Repository  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.pipeline.evidence_files import MISSING, gathered
from pytest_istio_egress.report.evidence_folder import ABOUT, parts_of

BOTH = pytest.mark.parametrize("more", [[], ["-n", "2"]], ids=["plain", "xdist"])
FILES = {"probe.json": '{"sent": "curl"}', "client-sidecar.log": "a line of the log"}
CASES = {
    "dns/test_http.py": f"""
        import pytest

        @pytest.mark.parametrize("name", ["listed", "un listed/../x", "un listed_.._x"])
        def test_resolved(egress, name):
            if name != "listed":
                egress("does not hold", "the resolver is not the mesh's", keeps={FILES!r}, exit=6)
            egress(exit=0, status=200)
    """,
}


def report_of(repository: Repository, *arguments: str) -> dict[str, dict[str, str]]:
    repository.run("--istio-egress", "conformance/dns", "--istio-egress-report", "reports/report.yaml", *arguments)
    document = yaml.safe_load((repository.path / "reports/report.yaml").read_text())
    return {case["id"]: case for behaviour in document["behaviours"] for case in behaviour["cases"]}


@BOTH
def test_a_folder_for_each_case_that_every_report_points_to(
    repository: Repository, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.have(CASES)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(repository.path / "summary.md"))
    cases = report_of(repository, *more, "--istio-egress-html", "page.html", "--junitxml", "junit.xml")
    failed = [case for case in cases.values() if case["outcome"] == "does not hold"]
    places = {case["evidence"] for case in failed}
    assert len(places) == len(failed) == 2
    page, summary = (repository.path / name for name in ("page.html", "summary.md"))
    for place in places:
        folder = repository.path / "reports" / place
        assert {file.name: file.read_text() for file in folder.iterdir()} == FILES
        assert folder.is_relative_to(repository.path / "reports/report-evidence/dns/test_http/test_resolved")
        assert f'href="reports/{place}/"' in page.read_text(encoding="utf-8")
    assert summary.read_text(encoding="utf-8").count("report-evidence/") == 2
    assert not [case for case in cases.values() if case["outcome"] == "holds" and "evidence" in case]
    properties = [item.get("name", "") for item in ElementTree.parse(repository.path / "junit.xml").iter("property")]
    assert properties.count("istio-egress.evidence") == 2
    assert "a line of the log" not in (repository.path / "junit.xml").read_text()


def test_what_an_earlier_run_kept_goes_and_nothing_else(repository: Repository) -> None:
    repository.have(CASES)
    report_of(repository)
    folder = repository.path / "reports/report-evidence"
    assert (folder / ABOUT).exists()
    repository.have({"dns/test_http.py": "def test_holds(egress): egress()"})
    report_of(repository)
    assert not folder.exists()
    (folder / "mine").mkdir(parents=True)
    result = repository.run("--istio-egress", "--istio-egress-report", "reports/report.yaml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "report-evidence" in result.stderr.str()
    assert (folder / "mine").is_dir()


def test_nothing_is_kept_where_nobody_asked_for_a_report(repository: Repository) -> None:
    repository.have(CASES)
    repository.run("--istio-egress", "conformance/dns")
    assert [path.name for path in repository.path.iterdir() if "evidence" in path.name] == []


def test_evidence_that_cannot_be_written_is_said_and_changes_no_verdict(repository: Repository) -> None:
    repository.have(CASES)
    repository.have({"dns/test_a.py": """
        from pathlib import Path
        def test_in_the_way(egress):
            Path("reports").mkdir(exist_ok=True)
            Path("reports/report-evidence").write_text("a file in the place of the folder")
            egress()
    """})  # fmt: skip
    result = repository.run("--istio-egress", "conformance/dns", "--istio-egress-report", "reports/report.yaml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=2, passed=2)
    assert len([line for line in result.outlines if "report-evidence" in line and "could not be written" in line]) == 1


def test_names_of_folders() -> None:
    assert parts_of("conformance/dns/test_x.py::test_y[a]") == ["dns", "test_x", "test_y", "a"]
    assert parts_of("own/test_x.py::TestA::test_y") == ["own", "test_x", "TestA", "test_y"]


def test_everything_is_gathered_and_no_secret() -> None:
    files = planted.kept()
    assert set(files) == {
        "probe.json", "client-sidecar.log", "client-sidecar-config.json", "outside.log", "applied.yaml", "pods.yaml",
        "events.txt", MISSING,
    }  # fmt: skip
    assert files[MISSING] == "mesh.yaml: the API is away\n"
    for secret in planted.SECRETS:
        for name, text in files.items():
            assert secret not in text, name
    assert [document["kind"] for document in yaml.safe_load_all(files["applied.yaml"])] == [
        document["kind"] for document in planted.APPLIED
    ]
    config = json.loads(files["client-sidecar-config.json"])
    assert [cluster["name"] for cluster in config["clusters"]] == ["outbound|80||api.test"]
    assert config["routes"][0]["virtual_hosts"][0]["domains"] == ["api.test"]
    assert json.loads(files["probe.json"])["curl"]["status"] == 200
    assert "Running" in files["pods.yaml"]
    assert "pod/sleep-1" in files["events.txt"]


def test_gathering_ends_whatever_its_parts_do() -> None:
    release = threading.Event()

    def stuck() -> str:
        release.wait()
        return "too late"

    def broken() -> str:
        raise ValueError("two\nlines")

    files = gathered({"a.txt": lambda: "a", "stuck.txt": stuck, "broken.txt": broken, "empty.txt": str}, 0.2)
    release.set()
    assert files["a.txt"] == "a"
    assert set(files) == {"a.txt", MISSING}
    assert "broken.txt: two lines\n" in files[MISSING]
    assert "stuck.txt: no answer within 0.2 s\n" in files[MISSING]


def older(repository: Repository) -> Path:
    """Have a report of an earlier run, in which all held."""
    report_of(repository)
    path: Path = repository.path / "reports/report.yaml"
    assert yaml.safe_load(path.read_text())["run"]["complete"] is True
    return path


@pytest.mark.parametrize("dies", ["exit", "usage error", "collection"])
def test_a_run_that_dies_early_leaves_no_older_report(repository: Repository, dies: str) -> None:
    path = older(repository)
    before = yaml.safe_load(path.read_text())["run"]["id"]
    if dies == "collection":
        repository.have({"dns/test_broken.py": "import no_such_module"})
    else:
        os.environ["STAND_IN_REFUSES"] = dies
    try:
        result = repository.run("--istio-egress", "conformance/dns", "--istio-egress-report", "reports/report.yaml")
    finally:
        os.environ.pop("STAND_IN_REFUSES", None)
    assert result.ret not in (0, 1, 5)
    run = yaml.safe_load(path.read_text())["run"]
    assert run["complete"] is False
    assert run["id"] != before
    assert run["stopped"]
    if dies == "exit":
        assert "the cluster does not answer" in run["stopped"]


@BOTH
def test_killed_and_interrupted_runs_leave_an_incomplete_report(repository: Repository, more: list[str]) -> None:
    path = older(repository)
    for how, stopped in ((signal.SIGKILL, "killed"), (signal.SIGINT, "interrupted")):
        repository.have({"dns/test_http.py": """
            import threading
            def test_first(egress): egress()
            def test_waits(egress):
                print("waits", flush=True)
                open("waits", "w").close()
                threading.Event().wait(60)
        """})  # fmt: skip
        command = [sys.executable, "-m", "pytest", "-p", "stand_in", "--istio-egress", "conformance/dns", *more]
        environment = os.environ | {"STAND_IN_SUITE": str(repository.suite), "STAND_IN_NOTES": str(repository.notes)}
        with subprocess.Popen(
            [*command, "--istio-egress-report", str(path)], cwd=repository.path, env=environment,
            stdout=subprocess.DEVNULL, start_new_session=True,
        ) as running:  # fmt: skip
            waits = repository.path / "waits"
            until = threading.Event()
            while not waits.exists():
                assert running.poll() is None
                until.wait(0.05)
            waits.unlink()
            os.killpg(running.pid, how)
        document = yaml.safe_load(path.read_text())
        assert document["run"]["complete"] is False
        assert stopped in document["run"]["stopped"]


def test_the_baseline_is_not_written_over(repository: Repository) -> None:
    path = older(repository)
    result = repository.run(
        "--istio-egress", "--istio-egress-report", str(path), "--istio-egress-baseline", str(path), "conformance/dns"
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "baseline" in result.stderr.str()
    assert yaml.safe_load(path.read_text())["run"]["complete"] is True
