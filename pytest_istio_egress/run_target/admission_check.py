"""Tells once, before anything is tested, what the cluster refuses of a run's objects."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from pytest_istio_egress.cluster.additions import WITH_ENVOY_FILTERS, additions_where
from pytest_istio_egress.cluster.admission import AdmissionCheck, PreparedAdmissionCheck
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import load
from pytest_istio_egress.cluster.environment import ENVIRONMENT
from pytest_istio_egress.cluster.mesh_names import MeshNames
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.refusals import by_message, with_hint
from pytest_istio_egress.model.case import AMBIENT, AMBIENT_FIXTURE
from pytest_istio_egress.model.mesh_facts import MeshFacts
from pytest_istio_egress.model.placement import Placement
from pytest_istio_egress.run_target import Say, Target, TargetError
from pytest_istio_egress.suite.discovery import fixtures_folder, manifest_files, suite_folder


def check_admission(api: Api, target: Target, facts: MeshFacts, lacking: Collection[str], say: Say) -> Target:
    """Return the target with the placement that the cluster demands, and with what it refuses of some tests.

    `lacking` are the features that the mesh lacks: without ambient mode, no object of an ambient test is tried.
    Raises TargetError where it refuses what every test needs.
    """
    names = Names(target.run, "", mesh=MeshNames.of(facts), placement=Placement.of(target.placement))
    fixtures = fixtures_folder()
    everywhere = [fixtures / f"{name}.yaml" for name in ENVIRONMENT]
    others = [file for file in sorted(fixtures.glob("*.yaml")) if file not in everywhere]
    manifests = [*others, *manifest_files(suite_folder())]
    if AMBIENT in lacking:
        manifests = [file for file in manifests if file.name != AMBIENT_FIXTURE and file.parent.name != AMBIENT]
    check_of_run = PreparedAdmissionCheck if target.prepared else AdmissionCheck
    check = check_of_run(api, names, load(everywhere), load(manifests))
    admission = check.run()
    for line in refusal_lines(admission.needed):
        say(f"istio-egress: {line}")
    if admission.needed:
        raise TargetError(
            f"the cluster of context {target.context!r} refuses what every test needs "
            f"({', '.join(sorted(admission.needed))}); nothing was tested"
        )
    additions = additions_where(admission.other)
    notes = [] if additions is WITH_ENVOY_FILTERS else [additions.sentence("EnvoyFilters are refused")]
    return replace(
        target,
        placement=admission.placement.to_mapping(),
        refused={**target.refused, **admission.other},
        notes=(*target.notes, *notes),
    )


def refusal_lines(refused: Mapping[str, str]) -> Iterable[str]:
    """Yield a line for each rule that refuses kinds of objects: the kinds, the message, what to do."""
    for message, kinds in by_message(refused).items():
        yield f"refused: {', '.join(sorted(kinds))}: {with_hint(message)}"
