"""The files that a run writes, baselines and known deviations, and no secret in any of them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from planted import KEY, PLANTED, SECRETS, TOKEN  # type: ignore[import-not-found]  # pytest puts this folder on the path
from repository import Repository  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.plugin.controller import CLUSTER_UNUSABLE

CASES = {
    "dns/test_http.py": """
        import pytest
        from pytest_istio_egress.model.case import documented

        @documented(source="ops/dns", summary="A name is resolved")
        @pytest.mark.parametrize("name", ["listed", "unlisted"])
        def test_resolved(egress, name):
            if name == "unlisted":
                egress("failed", "the resolver is not the mesh's", exit=6, status=0)
            egress(exit=0, status=200, envoy_version="1.40.0", response_headers=["date"], expected="status 200, exit 0")

        @documented(source="ops/gateway", summary="A gateway forwards it")
        def test_needs_gateway(egress):
            pytest.skip("the mesh has no egress gateway")

        @documented(source="ops/error", summary="It is known")
        def test_harness(egress):
            raise RuntimeError("curl printed no JSON")
    """,
}
UNLISTED = "conformance/dns/test_http.py::test_resolved[unlisted]"
BOTH = pytest.mark.parametrize("more", [[], ["-n", "2"]], ids=["plain", "xdist"])


def dns(repository: Repository, *arguments: str, report: str = "report.yaml") -> pytest.RunResult:
    result: pytest.RunResult = repository.run(
        "--istio-egress", "conformance/dns", "--istio-egress-report", report, *arguments
    )
    return result


def parameters_of(path: Path) -> dict[str, dict[str, Any]]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {each["id"]: each | {"test": test} for test in document["tests"] for each in test["parameters"]}


@BOTH
def test_report_has_results_evidence_and_reasons(repository: Repository, more: list[str]) -> None:
    repository.write(CASES)
    assert dns(repository, *more).ret == pytest.ExitCode.TESTS_FAILED
    parameters = parameters_of(repository.path / "report.yaml")
    assert {name.partition("::")[2]: each["result"] for name, each in parameters.items()} == {
        "test_resolved[listed]": "passed",
        "test_resolved[unlisted]": "failed",
        "test_needs_gateway": "skipped",
        "test_harness": "error",
    }
    failed = parameters[UNLISTED]
    assert failed["seen"] == {"status": None, "exit": 6, "seconds": 0.25, "attempts": 2}
    assert failed["cause"] == "the resolver is not the mesh's"
    assert failed["test"]["summary"] == "A name is resolved"
    skipped = parameters["conformance/dns/test_http.py::test_needs_gateway"]
    assert skipped["reason"] == "the mesh has no egress gateway"
    assert skipped["test"]["source"].endswith("/ops/gateway")
    document = yaml.safe_load((repository.path / "report.yaml").read_text())
    assert document["versions"] == {"kubernetes": "v1.99.0", "istio": "", "envoy": ["1.40.0"]}
    assert document["target"] == {"kind": "context", "context": "stand-in", "notes": ["noted"]}
    assert document["run"]["complete"] is True


def test_report_is_the_same_with_and_without_workers(repository: Repository) -> None:
    repository.write(CASES)
    dns(repository, report="plain.yaml")
    dns(repository, "-n", "2", report="workers.yaml")
    texts = [(repository.path / name).read_text() for name in ("plain.yaml", "workers.yaml")]
    assert texts[0].partition("\ntests:")[2] == texts[1].partition("\ntests:")[2] != ""


def test_reproduce_command_runs_the_parameter_alone(repository: Repository) -> None:
    repository.write(CASES)
    dns(repository)
    command = parameters_of(repository.path / "report.yaml")[UNLISTED]["reproduce"]
    words = re.findall(r"'[^']*'|\S+", command)
    result = repository.run(*(word.strip("'") for word in words[1:]))
    result.assert_outcomes(failed=1)


@BOTH
def test_report_of_a_stopped_run_is_incomplete(repository: Repository, more: list[str]) -> None:
    repository.write({"dns/test_http.py": "def test_stops(egress): egress(); raise KeyboardInterrupt"})
    repository.write({"dns/test_a.py": "def test_first(egress): egress()"})
    dns(repository, *more)
    path = repository.path / "report.yaml"
    if more and not path.exists():
        return  # the first test had not ended when the run was stopped
    assert yaml.safe_load(path.read_text())["run"]["complete"] is False


@BOTH
def test_full_disk_is_exit_3_unless_a_test_failed(repository: Repository, more: list[str]) -> None:
    repository.write({"dns/test_http.py": "def test_passes(egress): egress()"})
    result = dns(repository, *more, report="/dev/full")
    assert result.ret == CLUSTER_UNUSABLE
    assert len([line for line in result.outlines if "/dev/full" in line and "No space" in line]) == 1
    result.stdout.fnmatch_lines(["*1 passed in*"])
    repository.write(CASES)
    result = dns(repository, *more, report="/dev/full")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*1 failed,*"])


@pytest.mark.parametrize("option", ["report", "html"])
def test_unwritable_report_path_is_a_usage_error(repository: Repository, option: str) -> None:
    (repository.path / "file").touch()
    for path in (".", "file/report"):
        result = repository.run("--istio-egress", f"--istio-egress-{option}", path)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert len([line for line in result.errlines if line.strip()]) == 1
    assert not repository.notes.exists()


@BOTH
def test_failures_of_the_baseline_are_known_deviations(repository: Repository, more: list[str]) -> None:
    repository.write(CASES)
    dns(repository, "--deselect", "conformance/dns/test_http.py::test_harness", report="before.yaml")
    same = ["--istio-egress-baseline", "before.yaml", *more]
    result = dns(repository, "-k", "not harness", *same)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1, xfailed=1, skipped=1)
    result.stdout.fnmatch_lines(["*known deviation: failed in the baseline before.yaml too", "no differences"])
    assert parameters_of(repository.path / "report.yaml")[UNLISTED]["result"] == "known deviation"

    worse = dns(repository, *same)
    assert worse.ret == pytest.ExitCode.TESTS_FAILED
    worse.stdout.fnmatch_lines(["*compared with before.yaml*", "*1 new"])


@BOTH
def test_gap_in_the_baseline_is_a_failure(repository: Repository, more: list[str]) -> None:
    both = "def test_a(egress): egress()\ndef test_b(egress): egress()\n"
    repository.write({"dns/test_http.py": both})
    dns(repository, report="before.yaml")
    same = ["--istio-egress-baseline", "before.yaml", *more]
    assert dns(repository, *same).ret == pytest.ExitCode.OK
    assert dns(repository, "-k", "test_a", *same).ret == pytest.ExitCode.OK
    assert repository.run("--istio-egress", "conformance/timeouts", *same).ret == pytest.ExitCode.OK

    repository.write({"dns/test_http.py": "def test_a(egress): egress()\n"})
    result = dns(repository, *same)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["missing: conformance/dns/test_http.py::test_b: *"])

    repository.write(
        {"dns/test_http.py": both.replace("b(egress): egress()", "b(egress):\n import pytest; pytest.skip('no')")}
    )
    result = dns(repository, *same)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["missing: conformance/dns/test_http.py::test_b: *no*"])


def test_unreadable_baseline_or_deviations_are_a_usage_error(repository: Repository) -> None:
    (repository.path / "other.yaml").write_text("results: []")
    for option in ("baseline", "known-deviations"):
        for path in ("other.yaml", "none.yaml"):
            for more in ([], ["-n", "2"]):
                result = repository.run("--istio-egress", f"--istio-egress-{option}", path, *more)
                assert result.ret == pytest.ExitCode.USAGE_ERROR
                [line] = [line for line in result.errlines if line.strip()]
                assert path in line
    assert not repository.notes.exists()


def known_deviations(repository: Repository, *entries: dict[str, str]) -> list[str]:
    lines = [
        f"- {{test: '{entry['test']}', reason: '{entry['reason']}', expires: {entry['expires']}}}" for entry in entries
    ]
    (repository.path / "known.yaml").write_text("\n".join(["deviations:", *lines]) + "\n")
    return ["--istio-egress-known-deviations", "known.yaml"]


@BOTH
def test_known_deviation_does_not_fail_the_run(repository: Repository, more: list[str]) -> None:
    repository.write({"dns/test_http.py": CASES["dns/test_http.py"].partition('@documented(source="ops/error"')[0]})
    entries = known_deviations(
        repository,
        {"test": "*test_resolved*", "reason": "ticket 17", "expires": "2999-12-31"},
        {"test": "*no_such_case*", "reason": "ticket 18", "expires": "2999-12-31"},
    )
    result = repository.run("--istio-egress", *entries, *more)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=4, xfailed=1, skipped=2)
    result.stdout.fnmatch_lines(
        ["*known deviation: ticket 17*", "*1 known deviation,*", "*no_such_case*matches no parameter*"]
    )


@BOTH
def test_expired_deviation_fails_with_its_reason(repository: Repository, more: list[str]) -> None:
    repository.write(CASES)
    entries = known_deviations(repository, {"test": UNLISTED, "reason": "ticket 17", "expires": "2020-12-31"})
    result = dns(repository, "-k", "unlisted", *entries, *more)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "2020-12-31: ticket 17" in " ".join(result.stdout.str().split())
    assert "2020-12-31" in parameters_of(repository.path / "report.yaml")[UNLISTED]["expired_deviation"]


def test_error_is_never_a_known_deviation(repository: Repository) -> None:
    repository.write(CASES)
    entries = known_deviations(repository, {"test": "*", "reason": "all", "expires": "2999-12-31"})
    result = dns(repository, *entries)
    result.assert_outcomes(passed=1, xfailed=1, failed=1, skipped=1)


def test_job_summary_is_appended(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.write(CASES)
    page = repository.path / "summary.md"
    page.write_text("an earlier step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    repository.run("--istio-egress", "conformance/dns")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("an earlier step\n")
    assert "| failed | 1 |" in text
    assert "the resolver is not the mesh's" in text
    assert "the mesh has no egress gateway (1)" in text


LEAKS = f"""
    import planted
    import pytest
    from pytest_istio_egress.model.difference import Difference
    from pytest_istio_egress.model.case import documented

    KEY = {KEY!r}
    BEARER = "Authorization: Bearer {TOKEN}"
    CONFIG = "users: [{{name: me, user: {{token: {TOKEN}, client-key-data: cGxhbnRlZC1rZXk}}}}]"

    @documented(source="x", summary="no " + BEARER)
    def test_record(egress):
        egress("failed", KEY, evidence=planted.collected(),
               probe="curl -H '" + BEARER + "'", sidecar={{"line": BEARER, "route": BEARER}}, server_saw=CONFIG,
               differences=[{{"hop": "external server", "field": "request header authorization",
                             "expected": "none", "seen": "{PLANTED}"}}])

    def test_check(egress):
        egress(cause="x", check=[Difference("client", "response header set-cookie", "{PLANTED}", "none")])

    def test_text(egress):
        print(CONFIG)
        pytest.fail(KEY + BEARER, pytrace=False)

    def test_error(egress):
        raise RuntimeError(CONFIG)

    def test_error_that_makes_its_own_text(egress):
        class OwnText(Exception):
            def __str__(self):
                return CONFIG
        raise OwnText

    def test_skip(egress):
        pytest.skip(BEARER)

    def test_known(egress):
        egress("failed", BEARER)

    @pytest.fixture
    def broken():
        raise RuntimeError(KEY)

    def test_set_up(broken): ...
"""


@BOTH
def test_secrets_are_in_nothing_that_is_written(
    repository: Repository, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write({"dns/test_http.py": LEAKS})
    entries = known_deviations(
        repository, {"test": "*test_known", "reason": f"token: {TOKEN}", "expires": "2999-12-31"}
    )
    written = repository.path / "written"
    written.mkdir()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(written / "summary.md"))
    result = dns(
        repository,
        *entries,
        *("--alluredir", "written/allure", "--junitxml", "written/junit.xml", "-rA"),
        *("--istio-egress-html", "written/page.html"),
        *more,
        report="written/report.yaml",
    )
    result.assert_outcomes(failed=5, xfailed=1, skipped=1, errors=1)
    files = [file for file in written.rglob("*") if file.is_file()]
    assert {"summary.md", "junit.xml", "report.yaml", "page.html"} <= {file.name for file in files}
    assert len(files) > 8
    texts = {file.name: file.read_text(encoding="utf-8") for file in files}
    texts["terminal"] = result.stdout.str() + result.stderr.str()
    assert "probe.json" in texts
    for secret in (*SECRETS, "cGxhbnRlZC1rZXk"):
        for name, text in texts.items():
            assert secret not in text, (name, text[max(0, text.find(secret) - 300) :][:400])
    assert all(
        "redacted" in texts[name] for name in ("summary.md", "junit.xml", "report.yaml", "page.html", "terminal")
    )


def test_junit_has_the_summary_of_a_skipped_test(repository: Repository) -> None:
    repository.write(CASES)
    dns(repository, "--junitxml", "junit.xml")
    [case] = [
        case
        for case in ElementTree.parse(repository.path / "junit.xml").iter("testcase")
        if case.get("name") == "test_needs_gateway"
    ]
    assert {item.get("name"): item.get("value") for item in case.iter("property")}["istio-egress.summary"]


def test_allure_step_has_the_evidence_attached(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pytest_istio_egress.report.allure_steps import show

        def test_one():
            show({"client": "sleep.egress-client", "result": "failed", "probe": "curl x", "sidecar": {"line": "line 1"},
                  "gateway": None, "seen": "status 200", "attempts": 3,
                  "differences": [{"hop": "client", "field": "a", "expected": "1", "seen": "2"}]})
        """
    )
    pytester.runpytest_subprocess("--alluredir", "results").assert_outcomes(passed=1)
    [result] = (pytester.path / "results").glob("*-result.json")
    [step] = json.loads(result.read_text())["steps"]
    assert "failed" in step["name"]
    attached = {each["name"]: (pytester.path / "results" / each["source"]).read_text() for each in step["attachments"]}
    assert {"curl x", "line 1", "a: expected 1, got 2"} <= set(attached.values())
    assert json.loads(attached["figures"])["attempts"] == 3


def test_listing_writes_no_report(repository: Repository) -> None:
    for option in ("--collect-only", "--setup-plan"):
        dns(repository, option)
        assert not os.path.lexists(repository.path / "report.yaml")
