"""Loaded with `-p stand_in` in the runs under test: a suite made for the test, and notes in place of a cluster.

It replaces the selection and the cleanup of the cluster, and overrides the fixture `egress` (not with
STAND_IN_FIXTURES=real). Collection, scheduling, handing over and reporting are the real ones.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.pipeline.egress import MismatchError
from pytest_istio_egress.plugin import collection, progress
from pytest_istio_egress.plugin.stash import EVIDENCE_COLLECTOR, TARGET
from pytest_istio_egress.report.results import PROPERTY
from pytest_istio_egress.run_target import (
    NoClusterError,
    Prepared,
    Say,
    Target,
    TargetError,
    cleanup,
    description,
    mesh_detection,
    selection,
)
from pytest_istio_egress.settings.options import EMBEDDED, Settings

NOTES = Path(os.environ["STAND_IN_NOTES"])
SUITE = Path(os.environ["STAND_IN_SUITE"])
KUBECONFIG = Path(os.environ.get("STAND_IN_KUBECONFIG", "/nowhere/config"))

Expect = Callable[..., None]


def note(line: str) -> None:
    with NOTES.open("a", encoding="utf-8") as notes:
        notes.write(line + "\n")


def prepare(settings: Settings, run: str, say: Say, show: Say | None = None) -> Prepared:
    note("prepare")
    match os.environ.get("STAND_IN_REFUSES"):
        case "exit":
            raise TargetError("the cluster does not answer")
        case "usage error":
            raise NoClusterError("no cluster is configured")
    if settings.target == EMBEDDED:
        (show or say)("[3/9] kubernetes: 12 of about 34 packages")
    say("the stand-in is ready")
    return Prepared(
        Target(
            kind=settings.target,
            kubeconfig=KUBECONFIG,
            context="stand-in",
            run=run,
            notes=("noted",),
            timeout_scale=settings.timeout_scale,
            allow_mesh_wide=settings.allow_mesh_wide,
        ),
        "v1.99.0",
    )


def release(prepared: Prepared, say: Say) -> None:
    say("the stand-in is cleaned")
    note(f"release {prepared.target.run}")
    if "STAND_IN_STUCK" in os.environ:
        raise TargetError("a namespace is stuck")
    if "STAND_IN_INTERRUPTED" in os.environ:
        raise KeyboardInterrupt


def pytest_keyboard_interrupt() -> None:
    if "STAND_IN_INTERRUPTED_AGAIN" in os.environ and "PYTEST_XDIST_WORKER" not in os.environ:
        os.kill(os.getpid(), signal.SIGINT)


@dataclass
class CollectedEvidence:
    """An evidence collector that has its files already."""

    files: dict[str, str]

    def __call__(self, verdict: object) -> None: ...


class Fixtures:
    """Registered after the plugin's fixtures, so that this `egress` overrides theirs."""

    @pytest.fixture
    def egress(self, request: pytest.FixtureRequest) -> Iterator[Expect]:
        target = request.config.stash[TARGET]
        note(f"target {target.run} {target.context} {target.notes} {target.timeout_scale:g}")

        def expect(
            result: str = "passed",
            cause: str = "",
            evidence: dict[str, str] | None = None,
            check: Sequence[Difference] = (),
            **fields: object,
        ) -> None:
            if evidence:
                request.node.stash[EVIDENCE_COLLECTOR] = CollectedEvidence(evidence)
            if check:  # a check fails without a record, as `Egress.check` does
                raise MismatchError(f"explained: {cause}", check, cause)
            record = {"result": result, "cause": cause, "seconds": 0.25, "attempts": 2}
            request.node.user_properties.append((PROPERTY, record | fields))
            if result != "passed":
                pytest.fail(f"explained: {cause}", pytrace=False)

        yield expect
        note("test is over")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("istio_egress") and os.environ.get("STAND_IN_FIXTURES") != "real":
        config.pluginmanager.register(Fixtures(), "stand-in-fixtures")


if "STAND_IN_EVERY" in os.environ:
    progress.EVERY = float(os.environ["STAND_IN_EVERY"])
selection.prepare = prepare
cleanup.release = release
mesh_detection.detect_mesh = lambda prepared, settings, ids, say: prepared  # noqa: ARG005  # there is no mesh to detect
description.after_detection = lambda prepared: [f"detected: {prepared.kubernetes}"]
collection.suite_folder = lambda: SUITE
