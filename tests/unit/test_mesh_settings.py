"""The mesh's own configuration: changed in its fields, put back to the letter, never changed twice at once."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.mesh_settings import BEFORE, MeshSettings

TEXT = "# kept by hand\noutboundTrafficPolicy: {mode: REGISTRY_ONLY}\ntrustDomain: cluster.local\n"


class ConfigMaps:
    """One ConfigMap, which knows how to be read and merge-patched."""

    def __init__(self) -> None:
        self.annotations: dict[str, str] = {}
        self.mesh = TEXT

    def read_namespaced_config_map(self, name: str, namespace: str) -> object:
        assert (name, namespace) == ("istio", "istio-system")
        metadata = SimpleNamespace(annotations=self.annotations, resource_version="7")
        return SimpleNamespace(metadata=metadata, data={"mesh": self.mesh})

    def patch_namespaced_config_map(self, name: str, namespace: str, body: dict[str, Any]) -> None:
        assert (name, namespace) == ("istio", "istio-system")
        merged = {**self.annotations, **body["metadata"]["annotations"]}
        self.annotations = {key: value for key, value in merged.items() if value is not None}
        self.mesh = body["data"]["mesh"]


@pytest.fixture
def maps() -> ConfigMaps:
    return ConfigMaps()


@pytest.fixture
def settings(maps: ConfigMaps) -> MeshSettings:
    return MeshSettings(cast(Api, SimpleNamespace(core=maps)))


def test_a_change_keeps_the_other_fields(settings: MeshSettings, maps: ConfigMaps) -> None:
    settings.change({"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}})
    assert yaml.safe_load(maps.mesh) == {
        "outboundTrafficPolicy": {"mode": "ALLOW_ANY"},
        "trustDomain": "cluster.local",
    }
    assert maps.annotations == {BEFORE: TEXT}


def test_none_takes_a_field_out(settings: MeshSettings, maps: ConfigMaps) -> None:
    settings.change({"outboundTrafficPolicy": None})
    assert yaml.safe_load(maps.mesh) == {"trustDomain": "cluster.local"}


def test_it_is_put_back_to_the_letter(settings: MeshSettings, maps: ConfigMaps) -> None:
    settings.restore(settings.change({"outboundTrafficPolicy": None}))
    assert maps.mesh == TEXT
    assert maps.annotations == {}


def test_it_is_not_changed_twice_at_once(settings: MeshSettings, maps: ConfigMaps) -> None:
    settings.change({"trustDomain": "one.test"})
    changed = maps.mesh
    with pytest.raises(ClusterError, match="another run"):
        settings.change({"trustDomain": "two.test"})
    assert maps.mesh == changed


def test_what_a_killed_run_changed_can_be_found(settings: MeshSettings) -> None:
    assert settings.left_changed() is None
    settings.change({"outboundTrafficPolicy": None})
    assert settings.left_changed() == TEXT
    settings.restore(TEXT)
    assert settings.left_changed() is None
