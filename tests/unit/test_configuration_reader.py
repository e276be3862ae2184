"""The mesh configuration that causes and `explain` read: that of the control plane over a shared one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.inspection.configuration import MESH_CONFIGURATION, ConfigurationReader
from pytest_istio_egress.model.mesh_facts import MeshFacts
from pytest_istio_egress.verdict.analysis.configuration import Configuration

SHARED = "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\nrootNamespace: mesh-root\n"


class OnlyConfigMaps:
    """An API server with some ConfigMaps, and no other kind that a reader asks for."""

    def __init__(self, **stored: str) -> None:
        self.stored = stored

    def serves(self, *_: str) -> bool:
        return False

    def resource(self, *_: str) -> Any:
        return SimpleNamespace(get=self._get)

    def _get(self, name: str = "", namespace: str | None = None, **_: object) -> Any:
        if not name:
            return SimpleNamespace(to_dict=lambda: {"items": []})
        if name not in self.stored:
            raise ApiException(status=404)
        document = {"metadata": {"name": name, "namespace": namespace}, "data": {"mesh": self.stored[name]}}
        return SimpleNamespace(to_dict=lambda: document)


def read(facts: MeshFacts, **stored: str) -> Configuration:
    reader = ConfigurationReader(
        cast("Api", OnlyConfigMaps(**stored)),
        control_plane="istio-system",
        config_maps=facts.config_maps,
        domain="cluster.local",
        revision="",
    )
    return reader.read([])


def test_shared_configuration_applies_where_the_own_one_states_nothing() -> None:
    found = read(MeshFacts(shared_config_map="shared"), shared=SHARED, istio="rootNamespace: istio-config\n")
    assert found.mesh.outbound_mode == "REGISTRY_ONLY"
    assert found.mesh.root == "istio-config"


def test_own_configuration_alone_is_read_without_a_shared_one() -> None:
    found = read(MeshFacts(), shared=SHARED, istio="")
    assert found.mesh.outbound_mode == "ALLOW_ANY"


@pytest.mark.parametrize("stored", [{}, {"istio": "{"}, {"istio": "just a text"}], ids=["none", "no-yaml", "a-text"])
def test_configuration_that_cannot_be_read_is_unknown(stored: dict[str, str]) -> None:
    assert MESH_CONFIGURATION in read(MeshFacts(), **stored).unread
