"""The rules that CONTRIBUTING.md states for cases: each function raises AssertionError where a case breaks its rule.

They are checked on every shipped case (test_shipped_cases.py) and on the example of CONTRIBUTING.md
(test_contributing.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_istio_egress.cluster.environment import STANDS_FOR
from pytest_istio_egress.cluster.features import DETECTORS, PROBED
from pytest_istio_egress.cluster.mesh_names import EXPORT_TO
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.plugin.parameters import expectations_in
from pytest_istio_egress.suite.discovery import ShippedCase, fixtures_folder
from pytest_istio_egress.verdict.controls import shows_overhead
from pytest_istio_egress.verdict.verdict import Expectation

EXPORTED = {"ServiceEntry", "VirtualService", "DestinationRule"}
SHARED_HOSTS = {"second.test"}
"""Hosts that any area may use, besides those under wild.test: the certificates of the servers name them."""
TEST_HOST = re.compile(r"(?<![\w.*-])((?:[\w*-]+\.)+test)(?![\w-]|\.\w)")
TEST_ADDRESS = re.compile(r"(?<![\d.])192\.0\.2\.\d{1,3}(?![\d.]*[\d/])")
CLUSTER_HOST = re.compile(r"([\w*-]+\.)+svc\.cluster\.local")
SHORT_NAME = re.compile(r"[\w-]+")


def marks_of(function: object) -> list[pytest.Mark]:
    """Return a test function's parametrize marks."""
    return [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]


def expectations(function: object) -> list[Expectation]:
    """Return a test function's probes with their expected outcomes, read as the plugin reads them."""
    return expectations_in(marks_of(function))


def ids(function: object) -> list[str]:
    """Return the ids of a test's parameters as pytest generates them."""
    names: list[str] = []
    for mark in marks_of(function):
        for values in mark.args[1]:
            given = getattr(values, "values", values if isinstance(values, tuple) else (values,))
            names.append(getattr(values, "id", None) or "-".join(map(str, given)))
    return names


def case_of(shipped: ShippedCase) -> Case:
    """Return what @documented declares."""
    assert shipped.case, f"{shipped.id} is not declared with @documented"
    return shipped.case


def documents(manifest: Path) -> list[dict[str, Any]]:
    """Return a manifest's resources."""
    return [document for document in yaml.safe_load_all(manifest.read_text()) if document]


def has_source_summary_and_outcomes(shipped: ShippedCase) -> None:
    case = case_of(shipped)
    assert case.source.startswith("https://")
    assert len(case.summary.split()) >= 5, "the summary has fewer than five words"
    assert case.outcomes, "no entry of outcomes.yaml is named"


def has_existing_manifests_and_features(shipped: ShippedCase) -> None:
    case = case_of(shipped)
    assert [manifest for manifest in case.manifests if not manifest.is_file()] == []
    assert set(case.requires) <= {*DETECTORS, *PROBED}
    assert [name for name in case.fixtures if not (fixtures_folder() / name).is_file()] == []


def has_lower_case_names(shipped: ShippedCase) -> None:
    for name in (shipped.file.parent.name, shipped.file.stem, *(file.stem for file in case_of(shipped).manifests)):
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name), f"{name} is not lower_case_with_underscores"


def has_control_beside_each_block(shipped: ShippedCase) -> None:
    """A block has a control among the parameters, unless the test sends one itself, which the run then verifies."""
    pairs = expectations(shipped.function)
    if "expect_all" in shipped.function.__code__.co_names:
        return
    passing = {probe.client for probe, expected in pairs if not expected.blocked}
    for probe, expected in pairs:
        assert not expected.blocked or probe.client in passing, f"{probe.url} from {probe.client} has no control"


def has_control_beside_each_time(shipped: ShippedCase) -> None:
    """A documented time has a control without one, from the same client: it shows how busy the node is."""
    pairs = expectations(shipped.function)
    for probe, expected in pairs:
        controls = [other for other, outcome in pairs if shows_overhead(other, outcome, probe)]
        assert expected.seconds is None or controls, f"{probe.url} from {probe.client} has no control without a time"


def has_no_block_among_controls(shipped: ShippedCase) -> None:
    pairs = expectations(shipped.function)
    if not pairs:
        return
    for name, (_, expected) in zip(ids(shipped.function), pairs, strict=True):
        assert not (name.startswith("control") and expected.blocked), f"{name} is a block"


def has_reasons_for_independent_parameters(shipped: ShippedCase) -> None:
    for parameter, reason in case_of(shipped).independent_of_manifests.items():
        assert parameter in ("", *ids(shipped.function)), f"there is no parameter {parameter}"
        assert not parameter.startswith("control"), f"{parameter} is a control, and needs no reason"
        assert len(reason.split()) >= 4, f"{parameter}: the reason has fewer than four words"


def has_evidence_beside_each_status(shipped: ShippedCase) -> None:
    for probe, expected in expectations(shipped.function):
        evidence = (expected.cluster, expected.route, expected.flags, expected.details, expected.failure)
        assert not expected.sidecar or any(evidence), f"{probe.url}: no evidence of the sidecar's access log"


def all_manifests(shipped: ShippedCase) -> set[Path]:
    """Return the manifests that a case may apply: those that it declares, and those that its module names."""
    text = shipped.file.read_text()
    named = {file for file in shipped.file.parent.glob("*.yaml") if f'"{file.name}"' in text}
    return {*case_of(shipped).manifests, *named}


def has_permission_for_its_secrets(shipped: ShippedCase) -> None:
    """A rule with a credentialName goes with a Role that lets the proxy read Secrets.

    Without one, Istio 1.24 denies a CA certificate too, and remembers that for the tests that follow within a minute.
    """
    manifests = [document for file in all_manifests(shipped) for document in documents(file)]
    secrets = [document for document in manifests if "credentialName" in str(document.get("spec", ""))]
    kinds = {document["kind"] for document in manifests}
    assert not secrets or "gateway.yaml" in case_of(shipped).fixtures or {"Role", "RoleBinding"} <= kinds


def has_hosts_under_test(manifest: Path) -> None:
    """Hosts are under .test, in the cluster (a Service), or "*"."""
    for document in documents(manifest):
        if document["kind"] in EXPORTED:
            spec = document["spec"]
            for host in (*(spec.get("hosts") or []), *([spec["host"]] if "host" in spec else [])):
                known = host == "*" or any(pattern.fullmatch(host) for pattern in (TEST_HOST, CLUSTER_HOST, SHORT_NAME))
                assert known, f"{host} is neither under .test nor in the cluster"


def is_exported_to_named_namespaces(manifest: Path) -> None:
    """Without exportTo a resource applies to the whole mesh, and a TCP entry then takes its port in all of it.

    Or it applies to its own namespace only: the mesh configuration may change that default for each kind.
    """
    for document in documents(manifest):
        if document["kind"] in {*EXPORTED, "Service"}:
            name = f"{document['kind']}/{document['metadata']['name']}"
            annotation = document["metadata"].get("annotations", {}).get(EXPORT_TO, "")
            exported = annotation.split(",") if document["kind"] == "Service" else document["spec"].get("exportTo")
            assert any(exported or ()), f"{name} has no exportTo"
            assert "*" not in exported, f"{name} is exported to the whole mesh"


def has_known_addresses(file: Path) -> None:
    unknown = set(TEST_ADDRESS.findall(file.read_text())) - set(addresses())
    assert not unknown, f"{file.name}: no server has the address {', '.join(sorted(unknown))}"


def hosts_in(file: Path) -> set[str]:
    """Return the hosts under .test that a manifest or a module names."""
    return set(TEST_HOST.findall(file.read_text()))


def is_shared(host: str) -> bool:
    """Whether any area may use a host."""
    return host in SHARED_HOSTS or host.endswith("wild.test")


def servers() -> Iterator[tuple[str, str, list[int]]]:
    """Yield the external servers of fixtures/: name, address in manifests, and ports."""
    for fixture in sorted(fixtures_folder().glob("*.yaml")):
        for document in documents(fixture):
            metadata = document["metadata"]
            if document["kind"] == "Service" and (number := metadata.get("annotations", {}).get(STANDS_FOR)):
                yield metadata["name"], f"192.0.2.{number}", [port["port"] for port in document["spec"]["ports"]]


def addresses() -> dict[str, str]:
    """Return the server of each address that manifests may use: that of its Service, and + 100 that of its pod."""
    known: dict[str, str] = {}
    for name, address, _ in servers():
        prefix, _, number = address.rpartition(".")
        known |= {address: name, f"{prefix}.{int(number) + 100}": f"{name}'s pod"}
    return known


CASE_RULES = (
    has_source_summary_and_outcomes,
    has_existing_manifests_and_features,
    has_lower_case_names,
    has_control_beside_each_block,
    has_control_beside_each_time,
    has_no_block_among_controls,
    has_reasons_for_independent_parameters,
    has_evidence_beside_each_status,
    has_permission_for_its_secrets,
)
MANIFEST_RULES = (has_hosts_under_test, is_exported_to_named_namespaces, has_known_addresses)
