"""Each cause is brought about on a real mesh: the shipped case fails (or ends as an error), with the right sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_istio_egress.embedded import EmbeddedCluster

sys.path.insert(0, str(Path(__file__).parents[2] / "demonstrations" / "causes"))
from broken import Broken, load  # these two lie beside the command that makes docs/causes.md
from broken_cases import CommandResult, Seen, ask

ALL = load()
pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def ran(embedded: EmbeddedCluster) -> CommandResult:
    return ask(ALL, embedded.kubeconfig, ["-n", "2"])


@pytest.mark.parametrize("broken", ALL, ids=lambda broken: broken.cause)
def test_a_cause_is_told(broken: Broken, ran: CommandResult) -> None:
    wrong = ran.seen.get(broken.number, Seen()).wrong(broken)
    assert not wrong, f"{wrong}\n{ran.seen.get(broken.number)}\n{ran.output}"
