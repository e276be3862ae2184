"""The lines at the head of a run: target and run; the lines about cluster and mesh are those of run_target."""

from __future__ import annotations

from pytest_istio_egress.run_target import Prepared
from pytest_istio_egress.settings.options import Settings


def before_connecting(settings: Settings, run: str) -> list[str]:
    """Return the target and the run's id; the cluster has not been contacted yet."""
    place = settings.places["target"]
    profile = f", profile {settings.profile}" if settings.places["profile"] != "default" else ""
    return [f"istio-egress: target {settings.target} ({place}), run {run}{profile}"]


def after_detection(prepared: Prepared) -> list[str]:
    """Return the cluster, the versions and the facts of the mesh, and what the cluster refuses."""
    # Imported here: listing the suite needs no Kubernetes client.
    from pytest_istio_egress.run_target import description

    return description.after_detection(prepared)
