"""Which cluster is asked: the one that the settings name, or the embedded one, which is started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_istio_egress.model.placement import Placement
from pytest_istio_egress.run_target import NoClusterError, Prepared, Say, Target
from pytest_istio_egress.run_target.reachability import kubernetes_version
from pytest_istio_egress.settings.kubeconfig import NoContextError, chosen_context
from pytest_istio_egress.settings.options import EMBEDDED, Settings

USE_EMBEDDED = "to run without a cluster of your own, add --istio-egress-target embedded"


def prepare(settings: Settings, run: str, say: Say) -> Prepared:
    """Choose the cluster, start it where it is the embedded one, and make sure that it answers.

    Raises NoClusterError before anything is contacted, TargetError before anything is made.
    """
    if settings.target == EMBEDDED:
        return _embedded(settings, run, say)
    try:
        kubeconfig, context = chosen_context(settings.kubeconfig, settings.context)
    except NoContextError as error:
        raise NoClusterError(f"{error}; {USE_EMBEDDED}") from error
    target = _target(settings, run, kubeconfig, context)
    return Prepared(target, kubernetes_version(target))


def _embedded(settings: Settings, run: str, say: Say) -> Prepared:
    import yaml

    from pytest_istio_egress.run_target.embedded import start

    cluster = start(settings, say)
    current = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8")).get("current-context")
    # All of it is the run's own, the mesh's configuration too.
    target = replace(_target(settings, run, cluster.kubeconfig, current), notes=cluster.notes, allow_mesh_wide=True)
    ends = cluster.name if cluster.started and not settings.keep_cluster else None
    return Prepared(target, cluster.kubernetes, ends)


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
        require=settings.require,
    )


def placement_of(settings: Settings) -> Placement:
    """Return what the settings say of the run's pods."""
    return Placement.from_options(
        image=settings.image,
        pull_secret=settings.pull_secret,
        node_selector=settings.node_selector,
        toleration=settings.toleration,
    )
