"""The keys of the objects that the plugin stores on pytest's config, session and items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from pytest_istio_egress.pipeline.verdicts import Verdicts  # noqa: F401  # named in a string below
    from pytest_istio_egress.run_target import Target  # noqa: F401  # named in a string below
    from pytest_istio_egress.settings.options import Settings  # noqa: F401  # named in a string below
    from pytest_istio_egress.verdict.verdict import Verdict


class Collector(Protocol):
    """Collects the evidence of one test; `files` are the texts so far, by file name."""

    files: Mapping[str, str]

    def __call__(self, verdict: Verdict | None, /) -> None:
        """Collect it now; the verdict is None where no probe failed."""


SETTINGS = pytest.StashKey["Settings"]()
"""On the config: the settings of the run, read once."""
TARGET = pytest.StashKey["Target"]()
"""On the config: the cluster of the run. It is there from the first test on, not before."""
EVIDENCE_COLLECTOR = pytest.StashKey[Collector]()
"""On an item: collects the evidence of its test, once the pipeline has begun."""
VERDICTS = pytest.StashKey["Verdicts"]()
"""On the session: the verdicts on all parameters of the current test, controls that -k deselected included."""
