"""Collects a run's metadata from its settings and its cluster: enough to repeat the run."""

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
"""Environment variables of other programs that affect a run."""
OUTPUT_SETTINGS = ("keep_cluster", "require", "report", "html", "baseline", "known_deviations")
"""The settings of reports and gates; the others select the cluster and the way it is tested."""


def run_info(
    prepared: Prepared | None,
    settings: Settings,
    *,
    run: str,
    began: str,
    seconds: float,
    stopped: str,
    arguments: Sequence[str],
) -> RunInfo:
    """Return the metadata of a run; `prepared` is None where no cluster was used, or not yet."""
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
        options=tuple(_options(settings, target.context if target else None)),
        tools={"python": platform.python_version(), **{name: version(name) for name in TOOLS}},
    )


def _options(settings: Settings, context: str | None) -> Iterator[str]:
    """Yield the options, with the context that was the current one: it may be another one next time."""
    for option in OPTIONS:
        value = getattr(settings, option.name)
        if option.name == "context" and settings.target == CONTEXT:
            value = value or context
        if option.name in OUTPUT_SETTINGS or value in (None, (), option.default):
            continue
        if option.kind == "flag":
            yield option.flag
            continue
        for each in value if option.kind == "list" else [value]:
            yield from (option.flag, f"{each:g}" if isinstance(each, float) else str(each))


def _environment() -> Mapping[str, str]:
    names = [*VARIABLES, *(option.variable for option in OPTIONS)]
    return {name: os.environ[name] for name in names if os.environ.get(name)}
