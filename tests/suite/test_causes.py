"""Each cause is reproduced on a real mesh: the test fails (or ends in an error) with the expected sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_istio_egress.embedded import EmbeddedCluster

sys.path.insert(0, str(Path(__file__).parents[2] / "demonstrations" / "causes"))
from broken import Broken, load  # both are beside the command that makes docs/causes.md
from broken_cases import BrokenRun, run_broken

ENTRIES = load()
pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def run(embedded: EmbeddedCluster) -> BrokenRun:
    return run_broken(ENTRIES, embedded.kubeconfig, ["-n", "2"])


@pytest.mark.parametrize("broken", ENTRIES, ids=lambda broken: broken.cause)
def test_broken_mesh_gets_its_diagnosis(broken: Broken, run: BrokenRun) -> None:
    mismatch = run.of(broken).mismatch(broken)
    assert not mismatch, f"{mismatch}\n{run.of(broken)}\n{run.output}"


@pytest.mark.parametrize("broken", ENTRIES, ids=lambda broken: broken.cause)
def test_no_false_sentence_is_stated_on_other_parameters_of_the_test(broken: Broken, run: BrokenRun) -> None:
    assert run.false_sentences(broken) == {}
