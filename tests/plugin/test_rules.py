"""What users see of rules of their own: unsteady answers, errors in a test, and no failure that spreads to others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent, indent
from xml.etree import ElementTree

import pytest
import yaml
from repository import Repository  # type: ignore[import-not-found]  # pytest puts this folder on the path

HEAD = """
    import pytest

    from pytest_istio_egress import Outcome, answered, blocked_http, documented, get, reached, workload

    PAYMENTS = workload("deployment/payments", namespace="payments")
"""


@pytest.fixture
def rules(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository whose probes are the pipeline's own, with given results."""
    monkeypatch.setenv("STAND_IN_FIXTURES", "real")
    return repository


def declare(repository: Repository, parameters: str, declaration: str = "manifests=[]", head: str = "") -> None:
    """Write a test of the user's own with these parameters."""
    text = dedent(HEAD) + dedent(head)
    text += f"@documented(source='https://wiki.example.com', summary='payments keeps to its rules', {declaration})\n"
    text += f"@pytest.mark.parametrize(('probe', 'expected'), [\n{indent(dedent(parameters), '    ')}\n])\n"
    text += "def test_payments(egress, probe, expected):\n    egress.expect(probe, expected)\n"
    repository.pytester.makepyfile(test_rules=text)


def run(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, results: dict[str, list[str]], *more: str
) -> pytest.RunResult:
    monkeypatch.setenv("FAKE_PROBES", json.dumps(results))
    result: pytest.RunResult = repository.run("-p", "fake_probes", "--istio-egress", "test_rules.py", *more)
    return result


def last_line(result: pytest.RunResult) -> str:
    return next(line for line in reversed(result.outlines) if re.search(r"passed.* in [\d.]+ s$", line))


LISTED = 'pytest.param(get("http://listed.test/", client=PAYMENTS), answered(), id="listed"),'
OF_THE_SUITE = 'pytest.param(get("http://listed.test/"), reached(), id="listed"),'
APPLIES = 'manifests=["rules.yaml"]'
ENTRY = "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: default}}"


def test_own_rule_that_fails_once_fails(rules: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(rules, LISTED)
    run(rules, monkeypatch, {"listed.test/": ["failed", "passed"]}).assert_outcomes(failed=1)
    assert len(rules.notes_of("probe")) == 1, "a rule that applies nothing is not asked again"


@pytest.mark.parametrize("more", [[], ["-n", "2"]], ids=["plain", "xdist"])
def test_log_that_is_no_evidence_is_reported_once_and_skips_tests_of_the_suites_clients(
    rules: Repository, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    monkeypatch.setenv("FAKE_LOG_PROBLEM", "the mesh's access log is no evidence: its format has no %ROUTE_NAME%")
    declare(rules, OF_THE_SUITE + OF_THE_SUITE.replace("listed", "another"), APPLIES)
    (rules.path / "rules.yaml").write_text(ENTRY)
    reports = ["--istio-egress-report", "r.yaml"]
    result = run(rules, monkeypatch, {}, *reports, *more)
    result.assert_outcomes(skipped=2)
    note = "the mesh's access log is no evidence: its format has no %ROUTE_NAME%; tests that need it are skipped"
    assert result.outlines.count(f"istio-egress: {note}") == 1
    assert note in yaml.safe_load((rules.path / "r.yaml").read_text())["target"]["notes"]
    assert not rules.notes_of("probe")


def test_log_of_own_workloads_is_another(rules: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_LOG_PROBLEM", "the mesh's access log is no evidence")
    declare(rules, LISTED, APPLIES)
    (rules.path / "rules.yaml").write_text(ENTRY)
    run(rules, monkeypatch, {}).assert_outcomes(passed=1)


def test_unsteady_pass_is_a_figure_of_its_own_in_every_report(
    rules: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(rules, OF_THE_SUITE)
    summary = rules.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    reports = ["--istio-egress-report", "r.yaml", "--istio-egress-html", "r.html", "--junitxml", "r.xml"]
    result = run(rules, monkeypatch, {"listed.test/": ["failed", "passed"]}, *reports)
    result.assert_outcomes(passed=1)
    said = "1 of 2 answers: curl exit code: expected 0, got 7"
    assert "1 passed (1 unsteady)" in last_line(result)
    assert any("listed (unsteady)" in line for line in result.outlines)
    assert f"listed: unsteady: {said}" in " ".join(result.stdout.str().split())
    report = yaml.safe_load((rules.path / "r.yaml").read_text())
    assert (report["totals"]["passed"], report["totals"]["unsteady"]) == (1, 1)
    assert report["tests"][0]["parameters"][0]["unsteady"] == [said]
    assert f"<li>{said}</li>" in (rules.path / "r.html").read_text()
    assert "data-unsteady" in (rules.path / "r.html").read_text()
    assert "| passed, but unsteady | 1 |" in summary.read_text()
    assert said in summary.read_text()
    assert properties(rules.path / "r.xml")["istio-egress.unsteady"] == said


def properties(junit: Path) -> dict[str | None, str | None]:
    return {each.get("name"): each.get("value") for each in ElementTree.parse(junit).iter("property")}


@pytest.mark.parametrize(
    ("parameter", "choice", "failed"),
    [
        (LISTED, [], 1),
        (LISTED, ["--istio-egress-fail-unsteady", "own"], 1),
        (LISTED, ["--istio-egress-fail-unsteady", "none"], 0),
        (OF_THE_SUITE, [], 0),
        (OF_THE_SUITE, ["--istio-egress-fail-unsteady", "all"], 1),
    ],
)
def test_gate_for_unsteady_passes(
    rules: Repository, monkeypatch: pytest.MonkeyPatch, parameter: str, choice: list[str], failed: int
) -> None:
    (rules.path / "rules.yaml").write_text(ENTRY)
    declare(rules, parameter, APPLIES)
    result = run(rules, monkeypatch, {"listed.test/": ["failed", "passed"]}, *choice)
    result.assert_outcomes(passed=1 - failed, failed=failed)
    if failed:
        result.stdout.fnmatch_lines(["differs:    answers as expected: expected 2 of 2, got 1"])


def test_unknown_choice_of_the_gate_is_a_usage_error(rules: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(rules, LISTED)
    result = run(rules, monkeypatch, {}, "--istio-egress-fail-unsteady", "mine")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*fail-unsteady: unknown choice 'mine' (choose from own, all, none)"])


def test_fifteen_answers_in_a_row_and_a_share_of_them(rules: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(
        rules,
        """
        pytest.param(get("http://a.test/", client=PAYMENTS), answered(times=15), id="in-a-row"),
        pytest.param(get("http://b.test/", client=PAYMENTS), answered(times=15, share=0.8), id="share"),
        """,
    )
    come_and_go = ["passed", "passed", "failed", "passed", "failed", "passed"]
    result = run(rules, monkeypatch, {"a.test/": come_and_go.copy(), "b.test/": come_and_go})
    result.assert_outcomes(passed=1, failed=1)
    assert len(rules.notes_of("probe")) == 30
    printed = " ".join(result.stdout.str().split())
    assert "answers as expected: expected 15 of 15, got 13" in printed
    assert "share: unsteady: 2 of 15 answers" in printed
    assert "1 failed, 1 passed (1 unsteady)" in last_line(result)


BESIDE = """
    pytest.param(get("http://a.test/", client=PAYMENTS), answered(), id="a"),
    pytest.param(get("http://b.test/", client={client}), {outcome}, id="b"),
    pytest.param(get("http://b.test/2", client={client}), {outcome}, id="b2"),
    pytest.param(get("http://blocked.test/", client=PAYMENTS), blocked_http(), id="blocked"),
"""
MISSPELT = "PAYMETS = workload('deployment/paymets', namespace='payments')\n"


def test_misspelt_workload_is_the_same_error_of_the_test_in_each_parameter(
    rules: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(rules, BESIDE.format(client="PAYMETS", outcome="answered()"), head=MISSPELT)
    result = run(rules, monkeypatch, {})
    result.assert_outcomes(passed=2, errors=2)
    said = "error in the test (nothing is known about the mesh): namespace payments has no deployment paymets"
    assert result.outlines.count(said) == 2
    assert "cluster problem" not in result.stdout.str()


def test_server_of_the_suite_expected_of_an_own_host_is_refused_before_anything_is_sent(
    rules: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(rules, BESIDE.format(client="PAYMENTS", outcome="reached()"))
    result = run(rules, monkeypatch, {})
    result.assert_outcomes(passed=2, errors=2)
    assert sum("reached of http://b.test/" in line for line in result.outlines) >= 2
    assert sorted(set(rules.notes_of("probe"))) == ["probe http://a.test/", "probe http://blocked.test/"]


def test_forgotten_manifest_is_the_same_error_of_the_test_in_each_parameter(
    rules: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(rules, BESIDE.format(client="PAYMENTS", outcome="answered()"), declaration="")
    result = run(rules, monkeypatch, {})
    result.assert_outcomes(errors=4)
    said = [line for line in result.outlines if line.startswith("error in the test")]
    assert len(said) == 4
    assert len(set(said)) == 1
    assert said[0].endswith("rules.yaml does not exist: create it; a test that applies nothing declares manifests=[]")
    assert rules.notes_of("probe") == []


def test_error_of_one_probe_is_an_error_of_its_parameter_alone(
    rules: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(rules, BESIDE.format(client="PAYMENTS", outcome="answered()"))
    run(rules, monkeypatch, {"b.test/": ["error"]}).assert_outcomes(passed=3, errors=1)


def test_block_whose_only_control_is_an_error_is_an_error(rules: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = 'pytest.param(get("http://blocked.test/", client=PAYMENTS), blocked_http(), id="blocked"),'
    declare(rules, LISTED + blocked)
    result = run(rules, monkeypatch, {"listed.test/": ["error"]})
    result.assert_outcomes(errors=2)
    assert "the control http://listed.test/ of this block ended in an error: the pod went" in result.stdout.str()


def test_own_probes_are_sent_one_after_the_other(rules: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(rules, BESIDE.format(client="PAYMENTS", outcome="answered()"))
    run(rules, monkeypatch, {})
    assert rules.notes_of("round") == ["round 1 1"]


def test_same_rule_twice_is_probed_twice(rules: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(rules, LISTED + LISTED.replace('"listed"', '"again"'))
    run(rules, monkeypatch, {"listed.test/": ["passed", "failed"]}).assert_outcomes(passed=1, failed=1)
    assert len(rules.notes_of("probe")) == 2
