"""What every shipped case has to keep to: read from the cases and manifests themselves, without a cluster."""

from pathlib import Path

import pytest
import yaml

from pytest_istio_egress import Outcome, Probe
from pytest_istio_egress.cluster.features import DETECTORS
from pytest_istio_egress.model.case import ALL, CORE, FEATURES, PROFILES, Case
from pytest_istio_egress.suite.discovery import OUTCOMES, manifest_files, shipped_cases

CONFORMANCE = Path(__file__).parents[2] / "conformance"
MANIFESTS = manifest_files(CONFORMANCE)
NEVER_KEPT = CONFORMANCE / "validation"
"""What lies here is checked by dry run only."""
EXPORTED = {"ServiceEntry", "VirtualService", "DestinationRule"}
SHIPPED = {shipped.id: shipped for shipped in shipped_cases(CONFORMANCE)}
CASES = {name: shipped.function for name, shipped in SHIPPED.items()}


def parameters(function: object) -> list[tuple[Probe, Outcome]]:
    found = []
    for mark in getattr(function, "pytestmark", []):
        if mark.name == "parametrize" and tuple(mark.args[0]) == ("probe", "expected"):
            found += [getattr(values, "values", values) for values in mark.args[1]]
    return found


def ids(function: object) -> list[str]:
    """Return the ids of a test's parameters as pytest makes them of what the case gives."""
    found: list[str] = []
    for mark in getattr(function, "pytestmark", []):
        if mark.name == "parametrize":
            for values in mark.args[1]:
                given = getattr(values, "values", values if isinstance(values, tuple) else (values,))
                found.append(getattr(values, "id", None) or "-".join(map(str, given)))
    return found


def case(name: str) -> Case:
    found = SHIPPED[name].case
    assert found, f"{name} is not declared with @documented"
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_case_has_a_source_and_says_what_it_is_about(name: str) -> None:
    assert case(name).source.startswith("https://")
    assert len(case(name).summary.split()) >= 5
    assert case(name).outcomes, "the coverage page has no place for it"


@pytest.mark.parametrize("name", CASES)
def test_a_cases_manifests_and_features_exist(name: str) -> None:
    for manifest in case(name).manifests:
        assert manifest.is_file()
    assert set(case(name).requires) <= set(DETECTORS)


def test_every_feature_has_a_name_and_a_detector() -> None:
    assert set(FEATURES) == set(DETECTORS)


def test_every_profile_holds_cases_of_its_own() -> None:
    assert {case(name).profile for name in CASES} == set(PROFILES)
    assert all((case(name).profile == ALL) == ("/mesh_wide/" in name) for name in CASES)
    assert not [name for name in CASES if case(name).profile == CORE and case(name).requires]


@pytest.mark.parametrize("name", [name for name in CASES if parameters(CASES[name])])
def test_a_block_has_a_control_through_the_same_client(name: str) -> None:
    pairs = parameters(CASES[name])
    passing = {probe.client for probe, expected in pairs if not expected.blocked}
    for probe, expected in pairs:
        assert not expected.blocked or probe.client in passing, f"{probe.url} from {probe.client} has no control"


@pytest.mark.parametrize("name", [name for name in CASES if parameters(CASES[name])])
def test_what_is_called_a_control_is_none_of_the_blocks(name: str) -> None:
    for named, (_, expected) in zip(ids(CASES[name]), parameters(CASES[name]), strict=True):
        assert not (named.startswith("control") and expected.blocked), f"{named} is a block"


@pytest.mark.parametrize("name", CASES)
def test_what_no_rule_concerns_is_named_with_its_reason(name: str) -> None:
    for parameter, why in case(name).independent_of_manifests.items():
        assert parameter in ("", *ids(CASES[name])), f"there is no parameter {parameter}"
        assert not parameter.startswith("control"), f"{parameter} is a control, and needs no reason"
        assert len(why.split()) >= 4, f"{parameter}: this is no reason"


@pytest.mark.parametrize("name", [name for name in CASES if parameters(CASES[name])])
def test_an_outcome_through_a_sidecar_asks_for_envoys_evidence(name: str) -> None:
    for probe, expected in parameters(CASES[name]):
        evidence = (expected.cluster, expected.route, expected.flags, expected.details, expected.failure)
        assert not expected.sidecar or any(evidence), f"{probe.url}: nothing is asked of Envoy's line"


@pytest.mark.parametrize(
    "manifest",
    [file for file in MANIFESTS if file.parent != NEVER_KEPT],
    ids=lambda file: f"{file.parent.name}/{file.name}",
)
def test_a_manifest_reaches_nobody_elses_proxies(manifest: Path) -> None:
    """Without exportTo a resource concerns the whole mesh, and a TCP entry then takes a port from everybody."""
    for document in yaml.safe_load_all(manifest.read_text()):
        if document and document["kind"] in EXPORTED:
            name = f"{document['kind']}/{document['metadata']['name']}"
            exported = document["spec"].get("exportTo")
            assert exported, f"{name} says no exportTo"
            assert "*" not in exported, f"{name} is exported to the whole mesh"


def test_every_manifest_belongs_to_a_case() -> None:
    declared = {manifest for name in CASES for manifest in case(name).manifests}
    # What a case applies in its course, or has refused, its module names as a string.
    modules = {
        folder: "".join(file.read_text() for file in folder.glob("test_*.py")) for folder in CONFORMANCE.iterdir()
    }
    named = {file for file in MANIFESTS if f'"{file.name}"' in modules[file.parent]}
    assert set(MANIFESTS) - declared - named == set()


def test_only_the_list_of_outcomes_lies_outside_the_areas() -> None:
    assert {file.name for file in CONFORMANCE.iterdir() if file.is_file()} == {OUTCOMES}
