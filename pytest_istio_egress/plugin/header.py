"""Which cluster, which mesh, which versions: the lines at the head of a run."""

from __future__ import annotations

from pytest_istio_egress.model.mesh_facts import MeshFacts
from pytest_istio_egress.run_target import Prepared
from pytest_istio_egress.settings.options import Settings


def before(settings: Settings, run: str) -> list[str]:
    """Say what will be asked; nothing has been contacted yet."""
    place = settings.places["target"]
    profile = f", profile {settings.profile}" if settings.places["profile"] != "default" else ""
    return [f"istio-egress: target {settings.target} ({place}), run {run}{profile}"]


def after(prepared: Prepared) -> list[str]:
    """Say what answered."""
    target = prepared.target
    where = f"context {target.context}" if target.context else target.kind
    mesh = MeshFacts.of(target.mesh)
    return [
        f"istio-egress: {where}, Kubernetes {prepared.kubernetes}",
        f"istio-egress: Istio {mesh.istio}, {mesh.outbound_mode}, {prepared.gateway}",
        *(f"istio-egress:   {line}" for line in _facts(mesh)),
        *(f"istio-egress: {note}" for note in target.notes),
    ]


def _facts(mesh: MeshFacts) -> list[str]:
    """Return every fact that the line above doesn't say, a few to a line."""
    said = {"istio", "outbound-mode", "egress-gateways"}
    words = [f"{name}: {known}" for name, known in mesh.facts.items() if name not in said]
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) < _WIDTH:
            lines[-1] += f" | {word}"
        else:
            lines.append(word)
    return lines


_WIDTH = 100
