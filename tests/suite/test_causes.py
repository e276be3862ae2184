"""Each cause is brought about on a real mesh: the shipped case fails (or ends as an error), with the right sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_istio_egress.embedded import EmbeddedCluster

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
import causes  # it lies beside the page that it makes

ALL = causes.load()
pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def ran(embedded: EmbeddedCluster) -> causes.Ran:
    return causes.ask(ALL, embedded.kubeconfig, ["-n", "2"])


@pytest.mark.parametrize("broken", ALL, ids=lambda broken: broken.cause)
def test_a_cause_is_told(broken: causes.Broken, ran: causes.Ran) -> None:
    wrong = ran.seen.get(broken.number, causes.Seen()).wrong(broken)
    assert not wrong, f"{wrong}\n{ran.seen.get(broken.number)}\n{ran.output}"
