"""The mesh configuration: its fields are changed, its exact text restored, and it is locked for other runs."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.mesh_config_map import BEFORE, CHANGED_BY, MeshConfigMap
from pytest_istio_egress.model.timeouts import Timeouts

TEXT = "# kept by hand\noutboundTrafficPolicy: {mode: REGISTRY_ONLY}\ntrustDomain: cluster.local\n"


class ConfigMaps:
    """One ConfigMap that can be read and merge-patched."""

    def __init__(self) -> None:
        self.annotations: dict[str, str] = {}
        self.mesh = TEXT
        self.loses_answers = False

    def read_namespaced_config_map(self, name: str, namespace: str) -> object:
        assert (name, namespace) == ("istio", "istio-system")
        metadata = SimpleNamespace(annotations=self.annotations, resource_version="7")
        return SimpleNamespace(metadata=metadata, data={"mesh": self.mesh})

    def patch_namespaced_config_map(self, name: str, namespace: str, body: dict[str, Any]) -> None:
        assert (name, namespace) == ("istio", "istio-system")
        merged = {**self.annotations, **body.get("metadata", {}).get("annotations", {})}
        self.annotations = {key: value for key, value in merged.items() if value is not None}
        self.mesh = body.get("data", {}).get("mesh", self.mesh)
        if self.loses_answers:
            raise ApiException(409, "the object has been modified")


@pytest.fixture
def maps() -> ConfigMaps:
    return ConfigMaps()


@pytest.fixture
def config_map(maps: ConfigMaps) -> MeshConfigMap:
    timeouts = Timeouts(other_run=0.1)
    return MeshConfigMap(cast(Api, SimpleNamespace(core=maps, timeouts=timeouts)), run="k3x9q")


def test_change_keeps_the_other_fields(config_map: MeshConfigMap, maps: ConfigMaps) -> None:
    config_map.change({"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}})
    assert yaml.safe_load(maps.mesh) == {
        "outboundTrafficPolicy": {"mode": "ALLOW_ANY"},
        "trustDomain": "cluster.local",
    }
    assert maps.annotations == {BEFORE: TEXT, CHANGED_BY: "k3x9q"}


def test_none_removes_a_field(config_map: MeshConfigMap, maps: ConfigMaps) -> None:
    config_map.change({"outboundTrafficPolicy": None})
    assert yaml.safe_load(maps.mesh) == {"trustDomain": "cluster.local"}


def test_restore_brings_back_the_exact_text(config_map: MeshConfigMap, maps: ConfigMaps) -> None:
    config_map.restore(config_map.change({"outboundTrafficPolicy": None}))
    assert maps.mesh == TEXT
    assert maps.annotations == {}


def test_second_change_fails_after_the_timeout(config_map: MeshConfigMap, maps: ConfigMaps) -> None:
    config_map.change({"trustDomain": "one.test"})
    changed = maps.mesh
    with pytest.raises(ClusterError, match="another or a killed run"):
        config_map.change({"trustDomain": "two.test"})
    assert maps.mesh == changed


def test_change_waits_for_another_run(
    config_map: MeshConfigMap, maps: ConfigMaps, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = cast(Api, SimpleNamespace(core=maps, timeouts=Timeouts()))
    before = config_map.change({"trustDomain": "one.test"})
    was_read = threading.Event()
    read = maps.read_namespaced_config_map

    def reading(name: str, namespace: str) -> object:
        was_read.set()
        return read(name, namespace)

    monkeypatch.setattr(maps, "read_namespaced_config_map", reading)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(MeshConfigMap(other).change, {"trustDomain": "two.test"})
        assert was_read.wait(10)
        config_map.restore_text(before)
        assert BEFORE in maps.annotations, "proxies may not be in sync"
        config_map.unlock()
        assert waiting.result(10) == before
    assert yaml.safe_load(maps.mesh)["trustDomain"] == "two.test"


def test_change_with_a_lost_response_is_accepted(config_map: MeshConfigMap, maps: ConfigMaps) -> None:
    maps.loses_answers = True
    assert config_map.change({"trustDomain": "one.test"}) == TEXT


def test_rejected_change_is_an_error(
    config_map: MeshConfigMap, maps: ConfigMaps, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reject(*_: object) -> None:
        raise ApiException(403, "no")

    monkeypatch.setattr(maps, "patch_namespaced_config_map", reject)
    with pytest.raises(ClusterError, match="cannot change"):
        config_map.change({"trustDomain": "one.test"})


def test_change_of_a_killed_run_is_a_pending_restore(config_map: MeshConfigMap) -> None:
    assert config_map.pending_restore() is None
    config_map.change({"outboundTrafficPolicy": None})
    assert config_map.pending_restore() == TEXT
    config_map.restore(TEXT)
    assert config_map.pending_restore() is None


def test_configuration_outside_of_the_cluster_has_no_change_and_no_version() -> None:
    elsewhere = MeshConfigMap(cast(Api, None), "istio-system", "")
    assert elsewhere.pending_restore() is None
    assert elsewhere.version() == ""


def test_interrupted_run_restores_its_own_change_only(config_map: MeshConfigMap, maps: ConfigMaps) -> None:
    config_map.change({"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}})
    MeshConfigMap(config_map.api, run="other").restore_own_change()
    assert BEFORE in maps.annotations
    config_map.restore_own_change()
    assert maps.mesh == TEXT
    assert not maps.annotations
