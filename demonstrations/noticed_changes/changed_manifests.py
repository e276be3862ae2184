"""A pytest plugin for noticed_changes.py: every test runs once for each change of a manifest that it applies.

The changes of a module run one after the other, in one pytest session; xdist distributes the modules.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mutations import Change, Document, Mutation, changes_of_area

if TYPE_CHECKING:  # a plugin named by -p is loaded before the suite's own
    from pytest_istio_egress.model.case import Case
    from pytest_istio_egress.pipeline.runner import CaseRunner
    from pytest_istio_egress.report.results import Results
    from pytest_istio_egress.verdict.verdict import Verdict

RESULTS = "NOTICED_CHANGES_RESULTS"
"""The environment variable with the path of the file to which results are written, one JSON object a line."""
EVERY_FIELD = "NOTICED_CHANGES_EVERY_FIELD"
"""Set where each field of each resource is changed, not only the first one of a manifest."""
CHANGE = "istio-egress-change"
"""The property of a report with the change that its test ran with, empty where it ran without one."""
NOT_RUN = frozenset({"mesh_wide", "validation"})
"""Areas whose manifests are not changed: each run of the first takes minutes; those of the second are dry runs."""
CONVERGE = 2.0
"""Seconds in which a parameter that fails is probed again: most failures are meant to be."""
UNCHANGED = 0
"""The number of the run without a change, in which every parameter must pass."""
_MANIFEST = re.compile(r"\w+\.yaml")


_NUMBER = re.compile(r"@(\d+)-?|-@(\d+)(?=\])")


class ChangedManifests:
    """The change that the current test runs with."""

    def __init__(self) -> None:
        self.current: Change | None = None
        self.noticed_by: str | None = None
        """The test function that noticed it; the others need not run with it."""
        self.runner: CaseRunner | None = None

    def select(self, change: Change | None) -> None:
        """Run the next test with a change; under another one than before, the test is set up afresh."""
        if change is self.current:
            return
        lasting = any(_outlasts(each.mutation) for each in (self.current, change) if each)
        self.current, self.noticed_by = change, None
        if self.runner is None:
            return
        self.runner.case_setup.case = None
        if lasting:
            self.runner.case_setup.leave()
            self.runner.case_setup.sync()

    def documents(self, documents: list[Document]) -> list[Document]:
        """Return the documents with the change."""
        return self.current.apply(documents) if self.current else documents


def _outlasts(mutation: Mutation) -> bool:
    """Whether the state before a change would last beyond it, so that the resources are deleted first.

    A Deployment keeps its old pod for a while, a gateway of the Gateway API its Service, and connections that are open
    the policies that applied when they began.
    """
    return mutation.kind in ("Deployment", "AuthorizationPolicy") or "infrastructure" in mutation.path


CHANGED = ChangedManifests()


@pytest.hookimpl(optionalhook=True)
def pytest_istio_egress_runner(runner: CaseRunner) -> None:
    """Change the manifests, in every worker; a failure needs no explanation here."""
    runner.case_setup.first_manifests = CHANGED.documents
    runner.case_setup.later_manifests = CHANGED.documents
    runner.inspector.explained = unexplained  # type: ignore[method-assign]  # reading the cluster takes seconds
    runner.require_control = False  # each parameter passes or fails by itself
    runner.converge = CONVERGE
    CHANGED.runner = runner


def unexplained(verdict: Verdict) -> Verdict:
    """Return the verdict without a cause."""
    return verdict


@pytest.fixture(autouse=True)
def istio_egress_change(request: pytest.FixtureRequest) -> None:
    """Select the change before the test is set up: autouse fixtures come first."""
    if not hasattr(request, "param"):
        return
    change: Change | None = request.param
    # On the report, as the controller does not collect: files may have been added since the workers did.
    request.node.user_properties.append((CHANGE, str(change.mutation) if change else ""))
    CHANGED.select(change)
    if CHANGED.noticed_by not in (None, request.node.nodeid.partition("[")[0]):
        pytest.skip("another test has noticed the change")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test without a change, and once for each change of its manifests."""
    from pytest_istio_egress.model.case import case_of  # the plugin is loaded before the suite's own

    case = case_of(metafunc.function)
    if case is None or case.folder.name in NOT_RUN:
        return
    used = manifests_of(metafunc.function, case)
    changes = {UNCHANGED: None} | {
        number: change for number, change in _changes(case.folder).items() if change.mutation.manifest in used
    }
    metafunc.parametrize(
        "istio_egress_change", changes.values(), ids=[f"@{number}" for number in changes], indirect=True
    )


def manifests_of(function: Any, case: Case) -> set[str]:
    """Return the manifests that a test applies, at its beginning or in its course, as `area/file.yaml`."""
    named = {const for const in function.__code__.co_consts if isinstance(const, str) and _MANIFEST.fullmatch(const)}
    marks = [mark.args[1] for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
    first = {manifest.name for manifest in case.manifests}
    return {f"{case.folder.name}/{name}" for name in first | named | set(_MANIFEST.findall(repr(marks)))}


@cache
def _changes(folder: Path) -> Mapping[int, Change]:
    """Return the changes of an area by number; they are the same in every process."""
    found = changes_of_area(folder, every_field=EVERY_FIELD in os.environ)
    return dict(enumerate(found, start=UNCHANGED + 1))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the parameters of a module under one change together, and one change next to the other."""
    items.sort(key=lambda item: (item.nodeid.partition("::")[0], number_of(item.nodeid)))


def number_of(nodeid: str) -> int:
    """Return the number of the change that a test runs with."""
    found = _NUMBER.search(nodeid)
    return int(found[1] or found[2]) if found else UNCHANGED


def parameter_of(nodeid: str) -> str:
    """Return the id that the test has in an ordinary run."""
    return _NUMBER.sub("", nodeid).replace("[]", "")


@cache
def _results() -> Results:
    from pytest_istio_egress.report.results import Results  # the plugin is loaded before the suite's own

    return Results()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> Generator[None, None, None]:
    """Note that a change was noticed, where it ran; write each result, on the controller alone.

    A wrapper, to be first: the suite's own hook replaces the records of a report by texts for JUnit.
    """
    if report.failed and report.when == "call" and CHANGED.current and CHANGED.noticed_by is None:
        CHANGED.noticed_by = report.nodeid.partition("[")[0]
    path = os.environ.get(RESULTS)
    if path and "PYTEST_XDIST_WORKER" not in os.environ:
        _write(report, Path(path))
    return (yield)


def _write(report: pytest.TestReport, path: Path) -> None:
    """Add one phase of a test to its result; after the last one, append the result to the file."""
    results = _results()
    results.add(report, report.when or "call")
    if report.when != "teardown":
        return
    result = results.by_id.pop(report.nodeid)
    line = {
        "parameter": parameter_of(report.nodeid),
        "change": dict(report.user_properties).get(CHANGE, ""),
        "result": result.result,
        "reason": str(result.differences[0]) if result.differences else result.cause,
    }
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
