"""The lines at the head of a run: cluster, mesh, versions."""

from __future__ import annotations

from pytest_istio_egress.model.mesh_facts import MeshFacts
from pytest_istio_egress.run_target import Prepared
from pytest_istio_egress.settings.options import Settings

_WIDTH = 100
"""Characters of a line of facts."""


def before_connecting(settings: Settings, run: str) -> list[str]:
    """Return the target and the run's id; the cluster has not been contacted yet."""
    place = settings.places["target"]
    profile = f", profile {settings.profile}" if settings.places["profile"] != "default" else ""
    return [f"istio-egress: target {settings.target} ({place}), run {run}{profile}"]


def after_detection(prepared: Prepared) -> list[str]:
    """Return the cluster, the versions and the facts of the mesh."""
    target = prepared.target
    name = f"context {target.context}" if target.context else target.kind
    mesh = MeshFacts.of(target.mesh)
    return [
        f"istio-egress: {name}, Kubernetes {prepared.kubernetes}",
        f"istio-egress: Istio {mesh.istio}, {mesh.outbound_mode}, {prepared.gateway}",
        *(f"istio-egress:   {line}" for line in _facts(mesh)),
        *(f"istio-egress: {note}" for note in target.notes),
    ]


def _facts(mesh: MeshFacts) -> list[str]:
    """Return every fact that the line above does not contain, several to a line."""
    in_line_above = {"istio", "outbound-mode", "egress-gateways"}
    facts = [f"{name}: {fact}" for name, fact in mesh.facts.items() if name not in in_line_above]
    lines: list[str] = []
    for fact in facts:
        if lines and len(lines[-1]) + len(fact) < _WIDTH:
            lines[-1] += f" | {fact}"
        else:
            lines.append(fact)
    return lines
