"""Which cluster, which mesh, which versions: the lines at the head of a run."""

from __future__ import annotations

from pytest_istio_egress.options import Settings
from pytest_istio_egress.target import Prepared


def before(settings: Settings, run: str) -> list[str]:
    """Say what will be asked; nothing has been contacted yet."""
    place = settings.places["target"]
    return [f"istio-egress: target {settings.target} ({place}), run {run}"]


def after(prepared: Prepared) -> list[str]:
    """Say what answered."""
    target = prepared.target
    where = f"context {target.context}" if target.context else target.kind
    mesh = ", ".join([f"Istio {target.mesh['istio']}", target.mesh["outbound_mode"], prepared.gateway])
    return [
        f"istio-egress: {where}, Kubernetes {prepared.kubernetes}",
        f"istio-egress: {mesh}",
        *(f"istio-egress: {note}" for note in target.notes),
    ]
