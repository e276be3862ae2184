"""Gathers what a run was from the settings and from the cluster that answered."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_istio_egress.mesh_facts import MeshFacts
from pytest_istio_egress.report.conformance_report import About
from pytest_istio_egress.target import Prepared


def about_run(
    prepared: Prepared | None, *, run: str, began: str, seconds: float, complete: bool, arguments: Sequence[str]
) -> About:
    """Return what is known of a run; `prepared` is None where nothing was to be asked of any cluster."""
    from importlib.metadata import version

    target = prepared.target if prepared else None
    mesh = MeshFacts.of(target.mesh if target else {})
    return About(
        suite=version("pytest-istio-egress"),
        target=target.kind if target else "",
        context=(target.context or "") if target else "",
        kubernetes=prepared.kubernetes if prepared else "",
        istio=mesh.istio,
        outbound_mode=mesh.value("outbound-mode"),
        gateway=prepared.gateway if prepared else "",
        notes=target.notes if target else (),
        features=prepared.features if prepared else {},
        facts=mesh.facts,
        run=run,
        began=began,
        seconds=seconds,
        complete=complete,
        arguments=tuple(arguments),
    )
