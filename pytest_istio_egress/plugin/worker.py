"""The part of an xdist worker: it reads the target that the controller selected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_istio_egress.plugin.stash import TARGET
from pytest_istio_egress.run_target import Target

ENVIRONMENT_FAILED = "istio-egress: no clients and servers"
"""The beginning of the reason for which a worker stops the run; xdist hands it to the controller."""
HANDED_OVER = "istio_egress_target"
"""The key in xdist's workerinput: the file that contains the target before the worker gets its first test."""


def shared_folder(config: pytest.Config) -> Path | None:
    """Return the folder that all workers of a run have; None where one process runs all tests."""
    workerinput: dict[str, Any] | None = getattr(config, "workerinput", None)
    return Path(workerinput[HANDED_OVER]).parent if workerinput is not None else None


class Worker:
    """An xdist worker: reads the target that the controller selected."""

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Read the target before the first test that is not skipped: the controller has written it by then."""
        if TARGET not in item.config.stash:
            workerinput: dict[str, Any] = item.config.workerinput  # type: ignore[attr-defined]  # xdist puts it there
            written = Path(workerinput[HANDED_OVER])
            item.config.stash[TARGET] = Target.from_json(written.read_text(encoding="utf-8"))
