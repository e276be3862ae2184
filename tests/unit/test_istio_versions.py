"""Which version comes before which, and what a case does on one that is older than it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from pytest_istio_egress import documented
from pytest_istio_egress.cluster.features import missing
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.model.case import case_of
from pytest_istio_egress.model.istio_versions import older, release
from pytest_istio_egress.model.mesh_facts import Fact, MeshFacts
from pytest_istio_egress.suite.discovery import fixtures_folder


@pytest.mark.parametrize(
    ("version", "than", "expected"),
    [("1.24.3", "1.25", True), ("1.25.0", "1.25", False), ("v1.31-dev", "1.31", False), ("2.0", "1.31", False),
     ("1.24.2", "1.24.3", True), ("1.24.3", "1.24.3", False), ("1.24.10", "1.24.3", False),
     ("1.25.0", "1.24.3", False), ("1.31-dev", "1.24.3", False), ("1.24-dev", "1.24.3", False)],
)  # fmt: skip
def test_older(version: str, than: str, expected: bool) -> None:  # noqa: FBT001  # pytest hands it over by name
    assert older(version, than) is expected


@pytest.mark.parametrize("version", ["", "latest", "0123abcd", "2024.1", "sha256"])
def test_what_is_no_release_is_neither_older_nor_newer(version: str) -> None:
    assert release(version) is None
    with pytest.raises(ValueError, match="is not a release of Istio"):
        older(version, "1.31")


def mesh_of(istio: str) -> Mesh:
    return cast(Mesh, SimpleNamespace(facts=MeshFacts({"istio": Fact(istio)})))


def test_a_case_that_begins_with_a_later_version_says_why_it_is_skipped() -> None:
    @documented(source="page", summary="Something that is so since then", manifests=[], min_istio="1.30")
    def test_it() -> None: ...

    case = case_of(test_it)
    assert case
    reasons = missing(case, mesh_of("1.29.1"), fixtures_folder(), {})
    assert "1.30" in reasons["istio"]
    assert "1.29.1" in reasons["istio"]
    assert not missing(case, mesh_of("1.30.0"), fixtures_folder(), {})
