"""The lines that describe a cluster and its mesh: at the head of a run, and by `istio-egress doctor`."""

from __future__ import annotations

from pytest_istio_egress.model.mesh_facts import MeshFacts
from pytest_istio_egress.run_target import Prepared
from pytest_istio_egress.run_target.admission_check import refusal_lines

_WIDTH = 100
"""Characters of a line of facts."""


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
        *(f"istio-egress: {line}; tests that need it are skipped" for line in refusal_lines(target.refused)),
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
