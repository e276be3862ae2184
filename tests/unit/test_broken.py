"""demonstrations/causes: how an entry of broken.yaml changes manifests, and when its plugin does so."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED
from pytest_istio_egress.suite.discovery import suite_folder
from pytest_istio_egress.verdict.diagnosis import CLAIMS_NOTHING

sys.path.insert(0, str(Path(__file__).parents[2] / "demonstrations" / "causes"))

import broken_mesh  # only its command and this test import from that folder
from broken import AMBIENT, SIDECARS, Broken, Judgement, load  # the same
from broken_cases import BrokenResult, BrokenRun  # the same
from crossed import TestManifests as Manifests  # the same
from crossed import crossed, patch_for  # the same

ENTRY: dict[str, Any] = {
    "kind": "ServiceEntry",
    "metadata": {"name": "api"},
    "spec": {"hosts": ["api.test"], "location": "MESH_EXTERNAL"},
}


def entry(**fields: Any) -> Broken:
    return Broken(
        **{"number": 1, "cause": "a", "parameter": "area/test_x.py::test_x", "phrases": ["Some Part"], **fields}
    )


@pytest.mark.parametrize(
    ("patch", "documents"),
    [
        ("kind: ServiceEntry\nmetadata: {name: api}\ndelete: true", []),
        ("kind: ServiceEntry\nmetadata: {name: other}\nspec: {}", [ENTRY]),
        (
            "kind: ServiceEntry\nmetadata: {name: api}\nspec: {hosts: [x.test], location: null}",
            [{**ENTRY, "spec": {"hosts": ["x-b01.test"]}}],
        ),
        (
            "apiVersion: v1\nkind: Sidecar\nmetadata: {name: new}",
            [ENTRY, {"apiVersion": "v1", "kind": "Sidecar", "metadata": {"name": "new"}}],
        ),
    ],
    ids=["delete", "no-match", "merge", "add"],
)
def test_patch_deletes_merges_or_adds_documents(patch: str, documents: list[dict[str, Any]]) -> None:
    assert entry(patch=patch).documents([ENTRY]) == documents


def test_renamed_hosts_are_restored() -> None:
    broken = entry(number=7)
    assert broken.rename("host: api.test") == "host: api-b07.test"
    assert broken.restore_names(broken.rename("host: api.test")) == "host: api.test"


@pytest.mark.parametrize(
    ("result", "mismatch"),
    [
        (BrokenResult(FAILED, "It has some part."), ""),
        (BrokenResult(FAILED, "It has none."), "the sentence lacks 'Some Part'"),
        (BrokenResult(PASSED), "expected failed, got passed"),
        (BrokenResult(ERROR, "some part"), "expected failed, got error"),
        (BrokenResult(), "expected failed, got not run"),
    ],
)
def test_mismatch_names_what_differs_from_the_entry(result: BrokenResult, mismatch: str) -> None:
    assert result.mismatch(entry()) == mismatch


@pytest.mark.parametrize(
    ("sentence", "false"),
    [
        ("It has some part.", False),
        ("It is also true.", False),
        ("No known cause fits. Check the differences.", False),
        ("Something else entirely.", True),
    ],
)
def test_sentence_on_another_parameter_is_false_unless_the_entry_allows_it(*, sentence: str, false: bool) -> None:
    run = BrokenRun(others={1: {"test_x[other]": sentence}})
    assert run.false_sentences(entry(also=["also true"])) == ({"test_x[other]": sentence} if false else {})


@pytest.fixture(scope="module")
def suite_parameters() -> set[str]:
    """The ids of all parameters of the suite, below conformance/, as pytest collects them; that needs no cluster."""
    command = [sys.executable, "-m", "pytest", "--istio-egress", "--collect-only", "-q", "-p", "no:cacheprovider"]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "ISTIO_EGRESS_"))
    }
    collected = subprocess.run(
        command, cwd=suite_folder().parent, env=environment, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return {line.removeprefix("conformance/") for line in collected if line.startswith("conformance/")}


def test_every_entry_names_a_parameter_of_the_suite(suite_parameters: set[str]) -> None:
    assert len(suite_parameters) > 400
    named = {file.name: [broken.parameter for broken in load(file)] for file in (SIDECARS, AMBIENT)}
    unknown = {name: sorted(set(parameters) - suite_parameters) for name, parameters in named.items()}
    assert unknown == {SIDECARS.name: [], AMBIENT.name: []}


@pytest.mark.parametrize("broken", [*load(), *load(AMBIENT)], ids=lambda broken: broken.cause)
def test_every_entry_has_a_known_action(broken: Broken) -> None:
    assert broken.live in broken_mesh.LIVE
    assert list(yaml.safe_load_all(broken.patch)) or broken.live


def test_plugin_breaks_only_the_tests_of_broken_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(broken_mesh.ENTRIES, str(SIDECARS))
    setup = SimpleNamespace(ensure_environment=lambda: None)
    runner: Any = SimpleNamespace(case_setup=setup, entering=nullcontext, converge=30.0)
    broken_mesh.pytest_istio_egress_runner(runner)
    second = {"kind": "ServiceEntry", "metadata": {"name": "second"}, "spec": {"hosts": ["second.test"]}}
    with runner.entering(cast(Case, SimpleNamespace(folder=Path("broken01")))):
        assert setup.first_manifests([second]) != [second]
    with runner.entering(cast(Case, SimpleNamespace(folder=Path("service_entry")))):
        assert setup.first_manifests([second]) == [second]
    assert runner.converge == broken_mesh.CONVERGE


def test_patch_for_another_test_has_its_names_and_its_host() -> None:
    there = {"kind": "ServiceEntry", "metadata": {"name": "there"}, "spec": {"hosts": ["there.test"]}}
    patch = "kind: ServiceEntry\nmetadata: {name: api}\nspec: {hosts: [an.api.test]}"
    patched = patch_for(entry(patch=patch), Manifests("a", [ENTRY]), Manifests("b", [there]))
    assert yaml.safe_load(patched) == {**there, "spec": {"hosts": ["an.there.test"]}}


def test_patch_for_a_test_without_such_a_resource_is_left_out() -> None:
    patch = "kind: VirtualService\nmetadata: {name: api}\nspec: {}"
    assert patch_for(entry(patch=patch), Manifests("a", [ENTRY]), Manifests("b", [ENTRY])) == ""


def test_each_entry_is_tried_in_other_areas_first() -> None:
    one, all_areas = crossed(load(), each=1), crossed(load())
    own = {each.cause: each.parameter.partition("/")[0] for each in load()}
    assert all(each.parameter.partition("/")[0] != own[each.cause] for each in one)
    assert {each.cause for each in one} == {each.cause for each in all_areas}
    assert [each.number for each in all_areas] == list(range(1, len(all_areas) + 1))


@pytest.mark.parametrize(
    ("sentence", "judgement"),
    [
        ("Here is SOME part.", Judgement.SAME),
        ("It is also so.", Judgement.OTHER),
        ("So it is elsewhere.", Judgement.OTHER),
        (CLAIMS_NOTHING[0], Judgement.NOTHING),
        ("The host is down.", Judgement.FALSE),
    ],
)
def test_sentence_on_another_parameter_is_judged(sentence: str, judgement: Judgement) -> None:
    assert entry(also=["also so"], elsewhere=["is elsewhere"]).judged(sentence) is judgement
