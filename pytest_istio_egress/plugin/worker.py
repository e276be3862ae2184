"""An xdist worker's part: it takes over the target that the process of the user chose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_istio_egress.plugin.stash import TARGET
from pytest_istio_egress.run_target import Target

HANDED_OVER = "istio_egress_target"
"""The key in xdist's workerinput: the file in which a worker finds the target before it gets its first test."""


class Worker:
    """An xdist worker: takes over the target that was chosen."""

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Read the target before the first test that isn't skipped: the controller has written it by then."""
        if TARGET not in item.config.stash:
            workerinput: dict[str, Any] = item.config.workerinput  # type: ignore[attr-defined]  # xdist puts it there
            written = Path(workerinput[HANDED_OVER])
            item.config.stash[TARGET] = Target.from_json(written.read_text(encoding="utf-8"))
