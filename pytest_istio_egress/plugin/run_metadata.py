"""Gathers what a run was from the settings and from the cluster that answered: enough to make it once more."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version

from pytest_istio_egress.model.mesh_facts import MeshFacts
from pytest_istio_egress.report.document import RunInfo
from pytest_istio_egress.run_target import Prepared
from pytest_istio_egress.settings.options import CONTEXT, OPTIONS, Settings

TOOLS = ("pytest", "pytest-xdist", "kubernetes")
VARIABLES = ("KUBECONFIG", "PYTEST_ADDOPTS")
"""Variables of others that decide what is run where."""
NOT_ASKING = ("keep_cluster", "require", "report", "html", "baseline", "known_deviations")
"""The settings that say what is made of the answers; the others say which cluster is asked how."""


def about_run(
    prepared: Prepared | None,
    settings: Settings,
    *,
    run: str,
    began: str,
    seconds: float,
    stopped: str,
    arguments: Sequence[str],
) -> RunInfo:
    """Return what is known of a run; `prepared` is None where nothing was to be asked of any cluster, or not yet."""
    target = prepared.target if prepared else None
    mesh = MeshFacts.of(target.mesh if target else {})
    return RunInfo(
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
        complete=not stopped,
        stopped=stopped,
        arguments=tuple(arguments),
        environment=_environment(),
        options=tuple(_prober(settings, target.context if target else None)),
        tools={"python": platform.python_version(), **{name: version(name) for name in TOOLS}},
    )


def _prober(settings: Settings, context: str | None) -> Iterator[str]:
    """Yield the options, with the context that was the current one: it may be another one by the next time."""
    for option in OPTIONS:
        value = getattr(settings, option.name)
        if option.name == "context" and settings.target == CONTEXT:
            value = value or context
        if option.name in NOT_ASKING or value in (None, (), option.default):
            continue
        if option.kind == "flag":
            yield option.flag
        for each in value if option.kind == "list" else [value] if option.kind != "flag" else []:
            yield from (option.flag, f"{each:g}" if isinstance(each, float) else str(each))


def _environment() -> Mapping[str, str]:
    names = [*VARIABLES, *(option.variable for option in OPTIONS)]
    return {name: os.environ[name] for name in names if os.environ.get(name)}
