"""Selects the cluster of a run: a kubeconfig context, or the embedded cluster, which it starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_istio_egress.model.placement import Placement
from pytest_istio_egress.run_target import NoClusterError, Prepared, Say, Target
from pytest_istio_egress.run_target.reachability import kubernetes_version
from pytest_istio_egress.settings.kubeconfig import NoContextError, chosen_context
from pytest_istio_egress.settings.option_table import PLACEMENT_OPTIONS
from pytest_istio_egress.settings.options import EMBEDDED, Settings

USE_EMBEDDED = "to start a cluster on this machine, add --istio-egress-target embedded"


def prepare(settings: Settings, run: str, say: Say, show: Say | None = None) -> Prepared:
    """Select the cluster, start the embedded one, and check that it responds.

    `say` writes a line; `show` replaces the line that it showed before, where there is a terminal.
    Raises NoClusterError before a cluster is contacted, TargetError before anything is created.
    """
    if settings.target == EMBEDDED:
        return _embedded(settings, run, say, show)
    try:
        kubeconfig, context = chosen_context(settings.kubeconfig, settings.context)
    except NoContextError as error:
        raise NoClusterError(f"{error}; {USE_EMBEDDED}") from error
    target = _target(settings, run, kubeconfig, context)
    return Prepared(target, kubernetes_version(target, say))


def _embedded(settings: Settings, run: str, say: Say, show: Say | None) -> Prepared:
    import yaml

    from pytest_istio_egress.run_target.embedded import start

    cluster = start(settings, say, show)
    current = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8")).get("current-context")
    # The whole cluster belongs to the run, including the mesh configuration.
    target = replace(_target(settings, run, cluster.kubeconfig, current), notes=cluster.notes, allow_mesh_wide=True)
    stops_with_run = cluster.name if cluster.started and not settings.keep_cluster else None
    return Prepared(target, cluster.kubernetes, stops_with_run)


def _target(settings: Settings, run: str, kubeconfig: Path | None, context: str | None) -> Target:
    return Target(
        kind=settings.target,
        kubeconfig=kubeconfig,
        context=context,
        run=run,
        notes=(),
        timeout_scale=settings.timeout_scale,
        allow_mesh_wide=settings.allow_mesh_wide,
        placement=placement_of(settings).to_mapping(),
        prepared=settings.prepared is not None,
        require=settings.required_features,
    )


def placement_of(settings: Settings) -> Placement:
    """Return the placement of the run's pods from the settings."""
    return Placement.from_options(**{option.name: getattr(settings, option.name) for option in PLACEMENT_OPTIONS})
