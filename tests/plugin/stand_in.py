"""Loaded with `-p stand_in` in the runs under test: a suite of the test's own, and notes in place of a cluster.

It stands in for choosing and cleaning the cluster, and for the fixtures. Collecting, scheduling, handing over and
reporting are the real ones.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

import pytest_istio_egress
from pytest_istio_egress.plugin import collection, header
from pytest_istio_egress.plugin import progress as live
from pytest_istio_egress.plugin.recorder import EVIDENCE_COLLECTOR
from pytest_istio_egress.run_target import TARGET, NoClusterError, Prepared, Say, Target, TargetError
from pytest_istio_egress.run_target import cleanup as releasing
from pytest_istio_egress.run_target import mesh_detection as mesh
from pytest_istio_egress.run_target import selection as choice
from pytest_istio_egress.settings.options import Settings

NOTES = Path(os.environ["STAND_IN_NOTES"])
SUITE = Path(os.environ["STAND_IN_SUITE"])

Expect = Callable[..., None]


def note(line: str) -> None:
    with NOTES.open("a", encoding="utf-8") as notes:
        notes.write(line + "\n")


def prepare(settings: Settings, run: str, say: Say) -> Prepared:
    note("prepare")
    match os.environ.get("STAND_IN_REFUSES"):
        case "exit":
            raise TargetError("the cluster does not answer")
        case "usage error":
            raise NoClusterError("no cluster is configured")
    say("the stand-in is ready")
    return Prepared(
        Target(
            kind=settings.target,
            kubeconfig=Path("/nowhere/config"),
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


@dataclass
class Keeper:
    """Has the evidence already."""

    files: dict[str, str]

    def __call__(self, verdict: object) -> None: ...


@pytest.fixture
def egress(request: pytest.FixtureRequest) -> Iterator[Expect]:
    found = request.config.stash[TARGET]
    note(f"target {found.run} {found.context} {found.notes} {found.timeout_scale:g}")

    def expect(outcome: str = "holds", cause: str = "", keeps: dict[str, str] | None = None, **more: object) -> None:
        if keeps:
            request.node.stash[EVIDENCE_COLLECTOR] = Keeper(keeps)
        said = {"case": request.node.nodeid, "outcome": outcome, "cause": cause, "seconds": 0.25, "attempts": 2}
        request.node.user_properties.append(("istio-egress", said | more))
        if outcome != "holds":
            pytest.fail(f"explained: {cause}", pytrace=False)

    yield expect
    note("case is over")


fixtures = ModuleType("pytest_istio_egress.plugin.fixtures")
fixtures.egress = egress  # type: ignore[attr-defined]  # a module made by hand
sys.modules[fixtures.__name__] = fixtures
pytest_istio_egress.pytest_fixtures = fixtures

if "STAND_IN_EVERY" in os.environ:
    live.EVERY = float(os.environ["STAND_IN_EVERY"])
choice.prepare = prepare
releasing.release = release
mesh.detect_mesh = lambda prepared, settings, say: prepared  # noqa: ARG005  # there is no mesh to look at


header.after = lambda prepared: [f"answered: {prepared.kubernetes}"]
collection.suite_folder = lambda: SUITE
