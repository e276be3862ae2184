"""Which version comes before which, and what a case does on one that is older than it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from pytest_istio_egress import documented
from pytest_istio_egress.cluster.features import missing
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.model.case import case_of
from pytest_istio_egress.model.istio_versions import TESTED, SUPPORTED, older
from pytest_istio_egress.model.mesh_facts import MeshFacts


@pytest.mark.parametrize(
    ("version", "than", "expected"),
    [("1.24.3", "1.25", True), ("1.9", "1.25", True), ("1.25.0", "1.25", False), ("v1.31-dev", "1.31", False),
     ("0123abcd", "1.31", False), ("2.0", "1.31", False)],
)  # fmt: skip
def test_older(version: str, than: str, expected: bool) -> None:  # noqa: FBT001  # pytest hands it over by name
    assert older(version, than) is expected


def test_what_was_seen_is_supported() -> None:
    assert set(TESTED) <= set(SUPPORTED)


def test_a_case_that_begins_with_a_later_version_says_why_it_is_skipped() -> None:
    @documented(source="page", summary="Something that is so since then", manifests=[], min_istio="1.30")
    def test_it() -> None: ...

    case = case_of(test_it)
    assert case
    told = missing(case, cast(Mesh, SimpleNamespace(istio="1.29.1", facts=MeshFacts())))
    assert "1.30" in told["istio"]
    assert "1.29.1" in told["istio"]
    assert not missing(case, cast(Mesh, SimpleNamespace(istio="1.30.0", facts=MeshFacts())))
