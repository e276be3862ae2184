"""Which shipped tests a cluster can run, by what was detected of its mesh."""

from __future__ import annotations

from collections.abc import Collection

from pytest_istio_egress.cluster.features import missing_of
from pytest_istio_egress.model.case import MESH_WIDE, MESH_WIDE_NOT_ALLOWED, Case
from pytest_istio_egress.model.mesh_facts import MeshFacts
from pytest_istio_egress.run_target import Prepared
from pytest_istio_egress.suite.discovery import fixtures_folder, shipped_cases, suite_folder


def why_not_runnable(case: Case, prepared: Prepared, *, runs_mesh_wide: bool) -> str:
    """Return why a test cannot run, empty where it can."""
    if case.folder.name == MESH_WIDE and not runs_mesh_wide:
        return MESH_WIDE_NOT_ALLOWED
    target = prepared.target
    facts = MeshFacts.of(target.mesh)
    return "; ".join(missing_of(case, facts, fixtures_folder(), target.refused, prepared.features.get).values())


def can_run_any(ids: Collection[str], prepared: Prepared, *, runs_mesh_wide: bool) -> bool:
    """Whether a shipped test is among these parameters that can run; it imports tests up to the first such."""
    selected = {nodeid.partition("[")[0] for nodeid in ids}
    return any(
        shipped.case is not None
        and shipped.id in selected
        and not why_not_runnable(shipped.case, prepared, runs_mesh_wide=runs_mesh_wide)
        for shipped in shipped_cases(suite_folder())
    )
