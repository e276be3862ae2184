"""Each cause is reproduced on a real mesh: the test fails (or ends in an error) with the expected sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_istio_egress.embedded import EmbeddedCluster
from pytest_istio_egress.suite.discovery import shipped_cases, suite_folder

sys.path.insert(0, str(Path(__file__).parents[2] / "demonstrations" / "causes"))
from broken import Broken, load  # all are beside the command that makes docs/causes.md
from broken_cases import BrokenRun, run_broken
from crossed import crossed, run_crossed

ENTRIES = load()
CROSSED = crossed(ENTRIES, each=1)
"""The entries again, each under a test of one other area; `crossed.py` tries all areas."""
CASES = {each.id: each.case for each in shipped_cases(suite_folder()) if each.case}
pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def run(embedded: EmbeddedCluster) -> BrokenRun:
    return run_broken(ENTRIES, embedded.kubeconfig, ["-n", "2"])


@pytest.mark.parametrize("broken", ENTRIES, ids=lambda broken: broken.cause)
def test_broken_mesh_gets_its_diagnosis(broken: Broken, run: BrokenRun) -> None:
    mismatch = run.of(broken).mismatch(broken)
    assert not mismatch, f"{mismatch}\n{run.of(broken)}\n{run.output}"


def at_shared_gateway(broken: Broken) -> bool:
    """Whether an entry's test passes the mesh's gateway, whose listeners depend on the tests that run beside it."""
    case = CASES[f"{suite_folder().name}/{broken.parameter.partition('[')[0]}"]
    return "egress-gateway" in case.requires


@pytest.mark.parametrize(
    "broken", [each for each in ENTRIES if not at_shared_gateway(each)], ids=lambda broken: broken.cause
)
def test_no_false_sentence_is_stated_on_other_parameters_of_the_test(broken: Broken, run: BrokenRun) -> None:
    assert run.false_sentences(broken) == {}


@pytest.fixture(scope="module")
def run_elsewhere(embedded: EmbeddedCluster) -> BrokenRun:
    return run_crossed(CROSSED, embedded.kubeconfig, ["-n", "2"])


@pytest.mark.parametrize("broken", CROSSED, ids=lambda broken: broken.cause)
def test_no_false_sentence_is_stated_under_a_test_of_another_area(broken: Broken, run_elsewhere: BrokenRun) -> None:
    assert run_elsewhere.others, run_elsewhere.output
    assert run_elsewhere.false_sentences(broken) == {}
