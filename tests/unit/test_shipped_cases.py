"""Every shipped case keeps the rules of case_rules.py: checked on cases and manifests, without a cluster."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from case_rules import CASE_RULES, MANIFEST_RULES, case_of, has_known_addresses, hosts_in, is_shared

from pytest_istio_egress.cluster.apply import load
from pytest_istio_egress.cluster.features import DETECTORS, PROBED
from pytest_istio_egress.model.case import ALL, CORE, FEATURES, PROFILES
from pytest_istio_egress.suite.discovery import (
    OUTCOMES,
    ShippedCase,
    case_files,
    fixtures_folder,
    manifest_files,
    shipped_cases,
    suite_folder,
)

CONFORMANCE = Path(__file__).parents[2] / "conformance"
MANIFESTS = manifest_files(CONFORMANCE)
MODULES = case_files(CONFORMANCE)
SHIPPED = {shipped.id: shipped for shipped in shipped_cases(CONFORMANCE)}
APPLIED = {manifest.parent for shipped in SHIPPED.values() for manifest in case_of(shipped).manifests}
"""The areas whose manifests are applied; those of the others are used in dry runs only, and may be wrong."""


@pytest.mark.parametrize("rule", CASE_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("shipped", SHIPPED.values(), ids=SHIPPED)
def test_case_keeps_rule(shipped: ShippedCase, rule: Callable[[ShippedCase], None]) -> None:
    rule(shipped)


@pytest.mark.parametrize("rule", MANIFEST_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize(
    "manifest",
    [file for file in MANIFESTS if file.parent in APPLIED],
    ids=lambda file: f"{file.parent.name}/{file.name}",
)
def test_manifest_keeps_rule(manifest: Path, rule: Callable[[Path], None]) -> None:
    rule(manifest)


@pytest.mark.parametrize("module", MODULES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_module_names_only_addresses_of_servers(module: Path) -> None:
    has_known_addresses(module)


def test_host_of_one_area_is_not_used_by_another() -> None:
    areas = defaultdict(set)
    for file in (*MANIFESTS, *MODULES):
        for host in hosts_in(file) if file.parent in APPLIED else ():
            areas[host].add(file.parent.name)
    assert {host: names for host, names in areas.items() if len(names) > 1 and not is_shared(host)} == {}


def test_feature_has_a_name_and_a_detector() -> None:
    assert set(FEATURES) == {*DETECTORS, *PROBED}


def test_profile_has_cases() -> None:
    profiles = {name: case_of(shipped).profile for name, shipped in SHIPPED.items()}
    assert set(profiles.values()) == set(PROFILES)
    assert all((profile == ALL) == ("/mesh_wide/" in name) for name, profile in profiles.items())
    assert not [name for name, profile in profiles.items() if profile == CORE and case_of(SHIPPED[name]).requires]


def test_manifest_belongs_to_a_case() -> None:
    declared = {manifest for shipped in SHIPPED.values() for manifest in case_of(shipped).manifests}
    # Manifests that a case applies in its course, or has rejected, are strings of its module.
    strings = {folder: "".join(map(Path.read_text, folder.glob("test_*.py"))) for folder in CONFORMANCE.iterdir()}
    named = {file for file in MANIFESTS if f'"{file.name}"' in strings[file.parent]}
    assert set(MANIFESTS) - declared - named == set()


def test_outcomes_are_the_only_file_outside_the_areas() -> None:
    assert {file.name for file in CONFORMANCE.iterdir() if file.is_file()} == {OUTCOMES}


def test_pods_without_a_sidecar_are_not_captured_by_ztunnel_either() -> None:
    """A policy of the cluster may put every new namespace into ambient mode."""
    files = [*fixtures_folder().rglob("*.yaml"), *manifest_files(suite_folder())]
    pods = [each["spec"]["template"] for each in load(files) if each["kind"] == "Deployment"]
    outside = [
        pod["metadata"]["labels"] for pod in pods if pod["metadata"]["labels"].get("sidecar.istio.io/inject") == "false"
    ]
    assert outside
    assert [labels for labels in outside if labels.get("istio.io/dataplane-mode") != "none"] == []
