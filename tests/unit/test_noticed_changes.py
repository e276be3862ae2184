"""demonstrations/noticed_changes: the changes generated from manifests, and how its page reads results."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from pytest_istio_egress import documented
from pytest_istio_egress.model.case import case_of
from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED, SKIPPED

ROOT = Path(__file__).parents[2]
NOTICED = ROOT / "demonstrations" / "noticed_changes"
sys.path.insert(0, str(NOTICED))

import changed_manifests  # noqa: E402  # only its command and this test import from that folder
import changes_page  # noqa: E402  # the same
import mutations  # noqa: E402  # the same
import noticed_changes  # noqa: E402  # the same

AREAS = [
    folder
    for folder in sorted((ROOT / "conformance").iterdir())
    if folder.is_dir() and folder.name not in changed_manifests.NOT_RUN
]
MANIFEST = """
kind: VirtualService
metadata: {name: slow}
spec:
  hosts: [slow.test, slower.test]
  http:
  - timeout: 3s
    route: [{destination: {host: slow.test, port: {number: 80}}, weight: 100}]
---
kind: VirtualService
metadata: {name: slower}
spec:
  hosts: [slower.test]
  http:
  - timeout: 0.5s
"""


def area(folder: Path, **manifests: str) -> Path:
    for name, text in manifests.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def lines(folder: Path, *, every_field: bool = False) -> list[str]:
    changes = mutations.changes_of_area(folder, every_field=every_field)
    return [str(change.mutation).partition(" ")[2] for change in changes]


def test_each_field_is_changed_once_in_an_area_and_each_time_everywhere(tmp_path: Path) -> None:
    assert lines(
        area(tmp_path, a=MANIFEST, b="kind: VirtualService\nmetadata: {name: c}\nspec: {hosts: [c.test]}")
    ) == [
        "VirtualService/slow spec.hosts[0]: slow.test -> other-slow.test",
        "VirtualService/slow spec.http[0].timeout: 3s -> 4.5s",
        "VirtualService/slow spec.http[0].route[0].destination.host: slow.test -> other-slow.test",
        "VirtualService/slow spec.http[0].route[0].destination.port.number: 80 -> 8081",
        "VirtualService/slower spec.http[0].timeout: 0.5s -> 0.75s",
    ]


def test_every_field_is_changed_on_request(tmp_path: Path) -> None:
    found = lines(area(tmp_path, a=MANIFEST), every_field=True)
    assert "VirtualService/slow spec.hosts[1]: slower.test -> other-slower.test" in found
    assert "VirtualService/slower spec.hosts[0]: slower.test -> other-slower.test" in found


def test_one_resource_is_changed_and_the_original_stays(tmp_path: Path) -> None:
    changes = list(mutations.changes_of_area(area(tmp_path, a=MANIFEST)))
    documents = list(yaml.safe_load_all(MANIFEST))
    for change in changes:
        applied = change.apply(documents)
        assert sum(before != after for before, after in zip(documents, applied, strict=True)) == 1
    assert documents == list(yaml.safe_load_all(MANIFEST))


@pytest.mark.parametrize(
    ("kind", "path", "before", "after"),
    [
        ("VirtualService", ("spec", "http", 0, "timeout"), "500ms", "750ms"),
        ("ServiceEntry", ("spec", "ports", 0, "number"), 443, 444),
        ("ServiceEntry", ("spec", "ports", 0, "targetPort"), 3128, 3129),
        ("ServiceEntry", ("spec", "ports", 0, "protocol"), "TLS", "TCP"),
        ("ServiceEntry", ("spec", "endpoints", 0, "address"), "192.0.2.80", "192.0.2.81"),
        ("ServiceEntry", ("spec", "addresses", 0), "192.0.2.80/32", "192.0.2.81/32"),
        ("ServiceEntry", ("spec", "hosts", 0), "*.wild.test", "*.other-wild.test"),
        ("Sidecar", ("spec", "egress", 0, "hosts", 0), "./*", "egress-plain/*"),
        ("Sidecar", ("spec", "egress", 0, "hosts", 0), "./api.test", "./other-api.test"),
        ("Sidecar", ("spec", "outboundTrafficPolicy", "mode"), "REGISTRY_ONLY", "ALLOW_ANY"),
        ("Gateway", ("spec", "servers", 0, "tls", "mode"), "PASSTHROUGH", "ISTIO_MUTUAL"),
        ("Service", ("spec", "ports", 0, "name"), "http-a", "tcp-a"),
        ("VirtualService", ("spec", "http", 0, "headers", "request", "set", "x-set"), "by-rule", "by-rule-other"),
        ("VirtualService", ("spec", "tls", 0, "route", 0, "weight"), 70, 30),
    ],
    ids=str,
)
def test_field_is_changed_a_little(kind: str, path: tuple[str | int, ...], before: Any, after: Any) -> None:
    alter = mutations.alteration_of(mutations.field_of(kind, path))
    assert alter is not None
    assert alter(before) == after


@pytest.mark.parametrize("folder", AREAS, ids=lambda folder: folder.name)
def test_every_field_of_a_shipped_manifest_is_changed_or_has_a_reason_not_to_be(folder: Path) -> None:
    unknown = {
        field
        for manifest in folder.glob("*.yaml")
        for document in yaml.safe_load_all(manifest.read_text())
        if document
        for path, _ in mutations.leaves(document)
        if mutations.alteration_of(field := mutations.field_of(document["kind"], path)) is None
        and not any(re.fullmatch(pattern, field) for pattern, _ in mutations.UNCHANGED)
    }
    assert unknown == set()


@documented(source="p/", summary="s", manifests=["a.yaml"])
@pytest.mark.parametrize(("manifest", "mode"), [("c.yaml", "open")])
def example(egress: Any, manifest: str, mode: str) -> None:  # noqa: ARG001  # only its arguments are read
    egress.apply("b.yaml")


def test_manifests_of_a_test_are_its_own_and_those_that_it_applies() -> None:
    case = case_of(example)
    assert case is not None
    assert changed_manifests.manifests_of(example, case) == {f"unit/{name}.yaml" for name in "abc"}


@pytest.mark.parametrize(
    ("nodeid", "number", "parameter"),
    [
        ("conformance/a/test_x.py::test_y[@12-listed]", 12, "conformance/a/test_x.py::test_y[listed]"),
        ("conformance/a/test_x.py::test_y[listed-@12]", 12, "conformance/a/test_x.py::test_y[listed]"),
        ("conformance/a/test_x.py::test_y[@3]", 3, "conformance/a/test_x.py::test_y"),
        ("conformance/a/test_x.py::test_y", 0, "conformance/a/test_x.py::test_y"),
    ],
)
def test_id_has_the_number_of_the_change(nodeid: str, number: int, parameter: str) -> None:
    assert changed_manifests.number_of(nodeid) == number
    assert changed_manifests.parameter_of(nodeid) == parameter


def test_test_is_set_up_afresh_under_another_change(tmp_path: Path) -> None:
    first, second, *_ = mutations.changes_of_area(area(tmp_path, a=MANIFEST))
    setup: Any = SimpleNamespace(case="the case")
    changed = changed_manifests.ChangedManifests()
    changed.runner = SimpleNamespace(case_setup=setup)  # type: ignore[assignment]  # what is used of a runner
    changed.select(first)
    assert setup.case is None
    setup.case = "the case"
    changed.noticed_by = "a test"
    changed.select(first)
    assert (setup.case, changed.noticed_by) == ("the case", "a test")
    changed.select(second)
    assert setup.case is None
    assert changed.noticed_by is None
    documents = list(yaml.safe_load_all(MANIFEST))
    assert changed.documents(documents) == second.apply(documents)
    changed.select(None)
    assert changed.documents(documents) == documents


def seen(name: str, result: str, reason: str = "") -> changes_page.Seen:
    return changes_page.Seen(name, result, reason)


UNCHANGED = {"a": PASSED, "b": PASSED, "fails anyway": FAILED, "skipped anyway": SKIPPED}


@pytest.mark.parametrize(
    ("parameters", "outcome"),
    [
        ([seen("a", PASSED), seen("b", FAILED)], changes_page.NOTICED),
        ([seen("a", PASSED), seen("b", PASSED)], changes_page.UNNOTICED),
        ([seen("a", PASSED), seen("b", SKIPPED)], changes_page.UNNOTICED),
        ([seen("a", PASSED), seen("fails anyway", FAILED)], changes_page.UNNOTICED),
        ([seen("skipped anyway", SKIPPED)], changes_page.NOT_RUN),
        ([seen("a", ERROR, "entry x was rejected: invalid")], changes_page.REJECTED),
        ([seen("a", ERROR, "no pod is ready")], changes_page.BROKEN),
        ([seen("a", ERROR, "no pod is ready"), seen("b", FAILED)], changes_page.NOTICED),
    ],
    ids=str,
)
def test_change_is_noticed_if_a_parameter_fails_that_passes_without_it(
    parameters: list[changes_page.Seen], outcome: str
) -> None:
    assert changes_page.outcome_of(parameters, UNCHANGED) == outcome


def test_page_counts_and_names_defects(tmp_path: Path) -> None:
    found = [change.mutation for change in mutations.changes_of_area(area(tmp_path, a=MANIFEST))]
    by_change = {"": [seen("a", PASSED)], **{str(change): [seen("a", PASSED)] for change in found}}
    by_change[str(found[0])] = [seen("a", FAILED, "route: expected a, got b")]
    reasons = {f"*{' '.join(str(found[1]).split()[1:])}": "a reason"}
    page = changes_page.page(found, by_change, reasons)
    assert "| time | 2 | 0 | 0 | 1 | 0 | 1 |" in page
    assert "route: expected a, got b" in page
    assert "a reason" in page
    problems = changes_page.problems(found, by_change, reasons)
    assert [problem.endswith("no parameter notices it") for problem in problems] == [True, True, True]
    assert all(f"- {problem}" in page for problem in problems)


def test_reason_for_a_change_that_is_noticed_is_a_problem(tmp_path: Path) -> None:
    change = next(mutations.changes_of_area(area(tmp_path, a=MANIFEST))).mutation
    by_change = {"": [seen("a", PASSED)], str(change): [seen("a", FAILED)]}
    (problem,) = changes_page.problems([change], by_change, {"*": "a reason"})
    assert "noticed, although" in problem


def test_later_result_of_a_parameter_counts(tmp_path: Path) -> None:
    results = tmp_path / "results"
    line = '{{"parameter": "a", "change": "c", "result": "{}", "reason": ""}}\n'
    results.write_text(line.format(FAILED) + line.format(PASSED))
    assert noticed_changes.read(results) == {"c": [seen("a", PASSED)]}


def test_every_reason_belongs_to_a_change() -> None:
    found = [str(each) for each in noticed_changes.all_mutations(every_field=True)]
    for pattern in changes_page.load_reasons():
        expression = ".*".join(map(re.escape, pattern.split("*")))
        assert any(re.fullmatch(expression, change) for change in found), f"no change is {pattern}"


def test_help_starts_no_cluster() -> None:
    command = [sys.executable, str(NOTICED / "noticed_changes.py"), "--help"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "usage" in ran.stdout
    assert not ran.stderr


def test_committed_page_is_current_and_has_no_defect() -> None:
    page = (ROOT / "docs" / "noticed_changes.md").read_text()
    assert page.startswith(changes_page.HEAD), "made by an older command: run it again"
    assert "## Defects" not in page


def test_page_counts_changes_that_were_not_run(tmp_path: Path) -> None:
    first, *others = [change.mutation for change in mutations.changes_of_area(area(tmp_path, a=MANIFEST))]
    page = changes_page.page([first, *others], {"": [seen("a", PASSED)], str(first): [seen("a", FAILED)]}, {})
    assert f"{len(others)} changes have not been run" in page
