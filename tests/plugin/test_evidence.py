"""Evidence files of failures: complete, beside the report, without secrets, whatever else fails."""

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

from pytest_istio_egress.pipeline.evidence_files import NOT_COLLECTED, collected
from pytest_istio_egress.report.evidence_folder import ABOUT, parts_of

BOTH = pytest.mark.parametrize("more", [[], ["-n", "2"]], ids=["plain", "xdist"])
FILES = {"probe.json": '{"sent": "curl"}', "client-sidecar.log": "a line of the log"}
CASES = {
    "dns/test_http.py": f"""
        import pytest

        @pytest.mark.parametrize("name", ["listed", "un listed/../x", "un listed_.._x"])
        def test_resolved(egress, name):
            if name != "listed":
                egress("failed", "the resolver is not the mesh's", evidence={FILES!r}, exit=6)
            egress(exit=0, status=200)
    """,
}


def report_of(repository: Repository, *arguments: str) -> dict[str, dict[str, str]]:
    repository.run("--istio-egress", "conformance/dns", "--istio-egress-report", "reports/report.yaml", *arguments)
    document = yaml.safe_load((repository.path / "reports/report.yaml").read_text())
    return {parameter["id"]: parameter for test in document["tests"] for parameter in test["parameters"]}


@BOTH
def test_failures_have_a_folder_that_every_report_names(
    repository: Repository, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write(CASES)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(repository.path / "summary.md"))
    parameters = report_of(repository, *more, "--istio-egress-html", "page.html", "--junitxml", "junit.xml")
    failed = [each for each in parameters.values() if each["result"] == "failed"]
    folders = {each["evidence"] for each in failed}
    assert len(folders) == len(failed) == 2
    page, summary = (repository.path / name for name in ("page.html", "summary.md"))
    for name in folders:
        folder = repository.path / "reports" / name
        assert {file.name: file.read_text() for file in folder.iterdir()} == FILES
        assert folder.is_relative_to(repository.path / "reports/report-evidence/dns/test_http/test_resolved")
        assert f'href="reports/{name}/"' in page.read_text(encoding="utf-8")
    assert summary.read_text(encoding="utf-8").count("report-evidence/") == 2
    assert not [each for each in parameters.values() if each["result"] == "passed" and "evidence" in each]
    properties = [item.get("name", "") for item in ElementTree.parse(repository.path / "junit.xml").iter("property")]
    assert properties.count("istio-egress.evidence") == 2
    assert "a line of the log" not in (repository.path / "junit.xml").read_text()


def test_evidence_of_an_earlier_run_is_removed_and_nothing_else(repository: Repository) -> None:
    repository.write(CASES)
    report_of(repository)
    folder = repository.path / "reports/report-evidence"
    assert (folder / ABOUT).exists()
    repository.write({"dns/test_http.py": "def test_passes(egress): egress()"})
    report_of(repository)
    assert not folder.exists()
    (folder / "mine").mkdir(parents=True)
    result = repository.run("--istio-egress", "--istio-egress-report", "reports/report.yaml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "report-evidence" in result.stderr.str()
    assert (folder / "mine").is_dir()


def test_run_without_report_writes_no_evidence(repository: Repository) -> None:
    repository.write(CASES)
    repository.run("--istio-egress", "conformance/dns")
    assert [path.name for path in repository.path.iterdir() if "evidence" in path.name] == []


def test_unwritable_evidence_is_one_warning_and_changes_no_result(repository: Repository) -> None:
    repository.write(CASES)
    repository.write({"dns/test_a.py": """
        from pathlib import Path
        def test_in_the_way(egress):
            Path("reports").mkdir(exist_ok=True)
            Path("reports/report-evidence").write_text("a file instead of the folder")
            egress()
    """})  # fmt: skip
    result = repository.run("--istio-egress", "conformance/dns", "--istio-egress-report", "reports/report.yaml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=2, passed=2)
    assert len([line for line in result.outlines if "report-evidence" in line and "cannot write" in line]) == 1


def test_folders_are_named_after_the_parts_of_an_id() -> None:
    assert parts_of("conformance/dns/test_x.py::test_y[a]") == ["dns", "test_x", "test_y", "a"]
    assert parts_of("own/test_x.py::TestA::test_y") == ["own", "test_x", "TestA", "test_y"]


def test_evidence_is_complete_and_without_secrets() -> None:
    files = planted.collected()
    assert set(files) == {
        "probe.json", "client-sidecar.log", "client-sidecar-config.json", "outside.log", "applied.yaml", "pods.yaml",
        "events.txt", NOT_COLLECTED,
    }  # fmt: skip
    assert files[NOT_COLLECTED] == "mesh.yaml: the API is down\n"
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


def test_collection_of_evidence_ends_whatever_its_parts_do() -> None:
    release = threading.Event()

    def stuck() -> str:
        release.wait()
        return "too late"

    def broken() -> str:
        raise ValueError("two\nlines")

    files = collected({"a.txt": lambda: "a", "stuck.txt": stuck, "broken.txt": broken, "empty.txt": str}, 0.2)
    release.set()
    assert files["a.txt"] == "a"
    assert set(files) == {"a.txt", NOT_COLLECTED}
    assert "broken.txt: two lines\n" in files[NOT_COLLECTED]
    assert "stuck.txt: no answer within 0.2 s\n" in files[NOT_COLLECTED]


def older(repository: Repository) -> Path:
    """Write the report of an earlier run, in which everything passed."""
    report_of(repository)
    path: Path = repository.path / "reports/report.yaml"
    assert yaml.safe_load(path.read_text())["run"]["complete"] is True
    return path


@pytest.mark.parametrize("dies", ["exit", "usage error", "collection"])
def test_run_that_ends_early_leaves_no_older_report(repository: Repository, dies: str) -> None:
    path = older(repository)
    before = yaml.safe_load(path.read_text())["run"]["id"]
    if dies == "collection":
        repository.write({"dns/test_broken.py": "import no_such_module"})
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
        repository.write({"dns/test_http.py": """
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


def test_baseline_is_not_overwritten(repository: Repository) -> None:
    path = older(repository)
    result = repository.run(
        "--istio-egress", "--istio-egress-report", str(path), "--istio-egress-baseline", str(path), "conformance/dns"
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "baseline" in result.stderr.str()
    assert yaml.safe_load(path.read_text())["run"]["complete"] is True
