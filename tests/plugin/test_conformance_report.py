"""The files that a run leaves, what it makes of a baseline and of known deviations, and that no secret gets out."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from planted import KEY, SECRETS, TOKEN  # type: ignore[import-not-found]  # pytest puts this folder on the path
from repository import Repository  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.plugin.controller import CANNOT_ASK

CASES = {
    "dns/test_http.py": """
        import pytest
        from pytest_istio_egress.case import documented

        @documented(at="ops/dns", says="A name is resolved")
        @pytest.mark.parametrize("name", ["listed", "unlisted"])
        def test_resolved(egress, name):
            if name == "unlisted":
                egress("does not hold", "the resolver is not the mesh's", exit=6, status=0)
            egress(exit=0, status=200, envoy_version="1.40.0", headers=["date"], expected="status 200, exit 0")

        @documented(at="ops/gateway", says="A gateway passes it on")
        def test_needs_gateway(egress):
            pytest.skip("the mesh has no egress gateway")

        @documented(at="ops/error", says="It is known")
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


def cases_of(path: Path) -> dict[str, dict[str, Any]]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {case["id"]: case | {"of": behaviour} for behaviour in document["behaviours"] for case in behaviour["cases"]}


@BOTH
def test_report(repository: Repository, more: list[str]) -> None:
    repository.have(CASES)
    assert dns(repository, *more).ret == pytest.ExitCode.TESTS_FAILED
    cases = cases_of(repository.path / "report.yaml")
    assert {name.partition("::")[2]: case["outcome"] for name, case in cases.items()} == {
        "test_resolved[listed]": "holds",
        "test_resolved[unlisted]": "does not hold",
        "test_needs_gateway": "cannot be asked",
        "test_harness": "error",
    }
    failed = cases[UNLISTED]
    assert failed["seen"] == {"status": None, "exit": 6, "seconds": 0.25, "attempts": 2}
    assert failed["cause"] == "the resolver is not the mesh's"
    assert failed["of"]["says"] == "A name is resolved"
    skipped = cases["conformance/dns/test_http.py::test_needs_gateway"]
    assert skipped["reason"] == "the mesh has no egress gateway"
    assert skipped["of"]["source"].endswith("/ops/gateway")
    document = yaml.safe_load((repository.path / "report.yaml").read_text())
    assert document["versions"] == {"kubernetes": "v1.99.0", "istio": "", "envoy": ["1.40.0"]}
    assert document["target"] == {"kind": "context", "context": "stand-in", "notes": ["noted"]}
    assert document["run"]["complete"] is True


def test_same_behaviours_with_and_without_workers(repository: Repository) -> None:
    repository.have(CASES)
    dns(repository, report="plain.yaml")
    dns(repository, "-n", "2", report="workers.yaml")
    texts = [(repository.path / name).read_text() for name in ("plain.yaml", "workers.yaml")]
    assert texts[0].partition("behaviours:")[2] == texts[1].partition("behaviours:")[2] != ""


def test_command_of_a_case_asks_it_alone(repository: Repository) -> None:
    repository.have(CASES)
    dns(repository)
    command = cases_of(repository.path / "report.yaml")[UNLISTED]["reproduce"]
    words = re.findall(r"'[^']*'|\S+", command)
    result = repository.run(*(word.strip("'") for word in words[1:]))
    result.assert_outcomes(failed=1)


@BOTH
def test_stopped_run_says_so(repository: Repository, more: list[str]) -> None:
    repository.have({"dns/test_http.py": "def test_stops(egress): egress(); raise KeyboardInterrupt"})
    repository.have({"dns/test_a.py": "def test_first(egress): egress()"})
    dns(repository, *more)
    path = repository.path / "report.yaml"
    if more and not path.exists():
        return  # the first case had not ended when the run was stopped: nothing was found out
    assert yaml.safe_load(path.read_text())["run"]["complete"] is False


@BOTH
def test_full_disk(repository: Repository, more: list[str]) -> None:
    repository.have({"dns/test_http.py": "def test_holds(egress): egress()"})
    result = dns(repository, *more, report="/dev/full")
    assert result.ret == CANNOT_ASK
    assert len([line for line in result.outlines if "/dev/full" in line and "No space" in line]) == 1
    result.stdout.fnmatch_lines(["*1 holds in*"])
    repository.have(CASES)
    result = dns(repository, *more, report="/dev/full")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*1 does not hold*"])


@pytest.mark.parametrize("place", ["report", "html"])
def test_place_that_will_not_do_is_told_before_anything_is_asked(repository: Repository, place: str) -> None:
    (repository.path / "file").touch()
    for path in (".", "file/report"):
        result = repository.run("--istio-egress", f"--istio-egress-{place}", path)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert len([line for line in result.errlines if line.strip()]) == 1
    assert not repository.notes.exists()


@BOTH
def test_baseline(repository: Repository, more: list[str]) -> None:
    repository.have(CASES)
    dns(repository, "--deselect", "conformance/dns/test_http.py::test_harness", report="before.yaml")
    same = ["--istio-egress-baseline", "before.yaml", *more]
    result = dns(repository, "-k", "not harness", *same)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1, xfailed=1, skipped=1)
    result.stdout.fnmatch_lines(["*known deviation: the baseline before.yaml has it already", "nothing differs"])
    assert cases_of(repository.path / "report.yaml")[UNLISTED]["outcome"] == "known deviation"

    worse = dns(repository, *same)
    assert worse.ret == pytest.ExitCode.TESTS_FAILED
    worse.stdout.fnmatch_lines(["*compared with before.yaml*", "*1 new"])


@BOTH
def test_gap_in_the_baseline_is_a_failure(repository: Repository, more: list[str]) -> None:
    holds = "def test_a(egress): egress()\ndef test_b(egress): egress()\n"
    repository.have({"dns/test_http.py": holds})
    dns(repository, report="before.yaml")
    same = ["--istio-egress-baseline", "before.yaml", *more]
    assert dns(repository, *same).ret == pytest.ExitCode.OK
    assert dns(repository, "-k", "test_a", *same).ret == pytest.ExitCode.OK
    assert repository.run("--istio-egress", "conformance/timeouts", *same).ret == pytest.ExitCode.OK

    repository.have({"dns/test_http.py": "def test_a(egress): egress()\n"})
    result = dns(repository, *same)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["missing: conformance/dns/test_http.py::test_b: *"])

    repository.have(
        {"dns/test_http.py": holds.replace("b(egress): egress()", "b(egress):\n import pytest; pytest.skip('no')")}
    )
    result = dns(repository, *same)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["missing: conformance/dns/test_http.py::test_b: *no*"])


def test_unreadable_baseline_and_deviations(repository: Repository) -> None:
    (repository.path / "other.yaml").write_text("results: []")
    for option in ("baseline", "known-deviations"):
        for path in ("other.yaml", "none.yaml"):
            for more in ([], ["-n", "2"]):
                result = repository.run("--istio-egress", f"--istio-egress-{option}", path, *more)
                assert result.ret == pytest.ExitCode.USAGE_ERROR
                [line] = [line for line in result.errlines if line.strip()]
                assert path in line
    assert not repository.notes.exists()


def known(repository: Repository, *entries: dict[str, str]) -> list[str]:
    lines = [
        f"- {{case: '{entry['case']}', reason: '{entry['reason']}', expires: {entry['expires']}}}" for entry in entries
    ]
    (repository.path / "known.yaml").write_text("\n".join(["deviations:", *lines]) + "\n")
    return ["--istio-egress-known-deviations", "known.yaml"]


@BOTH
def test_known_deviations(repository: Repository, more: list[str]) -> None:
    repository.have({"dns/test_http.py": CASES["dns/test_http.py"].partition('@documented(at="ops/error"')[0]})
    entries = known(
        repository,
        {"case": "*test_resolved*", "reason": "ticket 17", "expires": "2999-12-31"},
        {"case": "*no_such_case*", "reason": "ticket 18", "expires": "2999-12-31"},
    )
    result = repository.run("--istio-egress", *entries, *more)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=4, xfailed=1, skipped=2)
    result.stdout.fnmatch_lines(
        ["*known deviation: ticket 17*", "*1 known deviation,*", "*no_such_case*matches no case*"]
    )


@BOTH
def test_expired_deviation_fails_and_says_so(repository: Repository, more: list[str]) -> None:
    repository.have(CASES)
    entries = known(repository, {"case": UNLISTED, "reason": "ticket 17", "expires": "2020-12-31"})
    result = dns(repository, "-k", "unlisted", *entries, *more)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "2020-12-31: ticket 17" in " ".join(result.stdout.str().split())
    assert "2020-12-31" in cases_of(repository.path / "report.yaml")[UNLISTED]["expired"]


def test_error_is_no_known_deviation(repository: Repository) -> None:
    repository.have(CASES)
    entries = known(repository, {"case": "*", "reason": "all", "expires": "2999-12-31"})
    result = dns(repository, *entries)
    result.assert_outcomes(passed=1, xfailed=1, failed=1, skipped=1)


def test_summary_of_a_job(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.have(CASES)
    page = repository.path / "summary.md"
    page.write_text("an earlier step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    repository.run("--istio-egress", "conformance/dns")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("an earlier step\n")
    assert "| does not hold | 1 |" in text
    assert "the resolver is not the mesh's" in text
    assert "the mesh has no egress gateway (1)" in text


LEAKS = f"""
    import planted
    import pytest
    from pytest_istio_egress.case import documented

    KEY = {KEY!r}
    BEARER = "Authorization: Bearer {TOKEN}"
    CONFIG = "users: [{{name: me, user: {{token: {TOKEN}, client-key-data: cGxhbnRlZC1rZXk}}}}]"

    @documented(at="x", says="no " + BEARER)
    def test_record(egress):
        egress("does not hold", KEY, keeps=planted.kept(),
               probe="curl -H '" + BEARER + "'", envoy=BEARER, outside=CONFIG,
               differences=["header authorization at the far end: expected {TOKEN}, seen nothing"])

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
        egress("does not hold", BEARER)

    @pytest.fixture
    def broken():
        raise RuntimeError(KEY)

    def test_set_up(broken): ...
"""


@BOTH
def test_secrets_are_in_nothing_that_is_written(
    repository: Repository, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.have({"dns/test_http.py": LEAKS})
    entries = known(repository, {"case": "*test_known", "reason": f"token: {TOKEN}", "expires": "2999-12-31"})
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
    result.assert_outcomes(failed=4, xfailed=1, skipped=1, errors=1)
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


def test_junit_holds_what_a_case_says(repository: Repository) -> None:
    repository.have(CASES)
    dns(repository, "--junitxml", "junit.xml")
    [case] = [
        case
        for case in ElementTree.parse(repository.path / "junit.xml").iter("testcase")
        if case.get("name") == "test_needs_gateway"
    ]
    assert {item.get("name"): item.get("value") for item in case.iter("property")}["istio-egress.says"]


def test_allure_gets_a_step_with_the_evidence(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pytest_istio_egress.report.allure_steps import show

        def test_one():
            show({"client": "sleep.egress-client", "outcome": "does not hold", "probe": "curl x", "envoy": "line 1",
                  "gateway": "", "differences": ["a: expected 1, seen 2"], "seen": "status 200", "attempts": 3})
        """
    )
    pytester.runpytest_subprocess("--alluredir", "results").assert_outcomes(passed=1)
    [result] = (pytester.path / "results").glob("*-result.json")
    [step] = json.loads(result.read_text())["steps"]
    assert "does not hold" in step["name"]
    found = {
        attached["name"]: (pytester.path / "results" / attached["source"]).read_text()
        for attached in step["attachments"]
    }
    assert {"curl x", "line 1", "a: expected 1, seen 2"} <= set(found.values())
    assert json.loads(found["figures"])["attempts"] == 3


def test_looking_at_the_suite_writes_nothing(repository: Repository) -> None:
    for look in ("--collect-only", "--setup-plan"):
        dns(repository, look)
        assert not os.path.lexists(repository.path / "report.yaml")
