"""The mesh's own configuration: changed in its fields, put back to the letter, never changed twice at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.mesh_config_map import BEFORE, MeshConfigMap
from pytest_istio_egress.model.timeouts import Timeouts

TEXT = "# kept by hand\noutboundTrafficPolicy: {mode: REGISTRY_ONLY}\ntrustDomain: cluster.local\n"


class ConfigMaps:
    """One ConfigMap, which knows how to be read and merge-patched."""

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
def settings(maps: ConfigMaps) -> MeshConfigMap:
    timeouts = Timeouts(other_run=0.1)
    return MeshConfigMap(cast(Api, SimpleNamespace(core=maps, timeouts=timeouts)))


def test_a_change_keeps_the_other_fields(settings: MeshConfigMap, maps: ConfigMaps) -> None:
    settings.change({"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}})
    assert yaml.safe_load(maps.mesh) == {
        "outboundTrafficPolicy": {"mode": "ALLOW_ANY"},
        "trustDomain": "cluster.local",
    }
    assert maps.annotations == {BEFORE: TEXT}


def test_none_takes_a_field_out(settings: MeshConfigMap, maps: ConfigMaps) -> None:
    settings.change({"outboundTrafficPolicy": None})
    assert yaml.safe_load(maps.mesh) == {"trustDomain": "cluster.local"}


def test_it_is_put_back_to_the_letter(settings: MeshConfigMap, maps: ConfigMaps) -> None:
    settings.restore(settings.change({"outboundTrafficPolicy": None}))
    assert maps.mesh == TEXT
    assert maps.annotations == {}


def test_it_is_not_changed_twice_at_once(settings: MeshConfigMap, maps: ConfigMaps) -> None:
    settings.change({"trustDomain": "one.test"})
    changed = maps.mesh
    with pytest.raises(ClusterError, match="another run"):
        settings.change({"trustDomain": "two.test"})
    assert maps.mesh == changed


def test_another_run_is_waited_for(settings: MeshConfigMap, maps: ConfigMaps, monkeypatch: pytest.MonkeyPatch) -> None:
    other = cast(Api, SimpleNamespace(core=maps, timeouts=Timeouts()))
    before = settings.change({"trustDomain": "one.test"})
    looked = threading.Event()
    read = maps.read_namespaced_config_map

    def looking(name: str, namespace: str) -> object:
        looked.set()
        return read(name, namespace)

    monkeypatch.setattr(maps, "read_namespaced_config_map", looking)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(MeshConfigMap(other).change, {"trustDomain": "two.test"})
        assert looked.wait(10)
        settings.restore_text(before)
        assert BEFORE in maps.annotations, "proxies may still be behind"
        settings.unlock()
        assert waiting.result(10) == before
    assert yaml.safe_load(maps.mesh)["trustDomain"] == "two.test"


def test_a_change_whose_answer_was_lost_is_known_to_have_arrived(settings: MeshConfigMap, maps: ConfigMaps) -> None:
    maps.loses_answers = True
    assert settings.change({"trustDomain": "one.test"}) == TEXT


def test_a_change_that_did_not_arrive_is_an_error(
    settings: MeshConfigMap, maps: ConfigMaps, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ApiException(403, "no")

    monkeypatch.setattr(maps, "patch_namespaced_config_map", refuse)
    with pytest.raises(ClusterError, match="can't be changed"):
        settings.change({"trustDomain": "one.test"})


def test_what_a_killed_run_changed_can_be_found(settings: MeshConfigMap) -> None:
    assert settings.pending_restore() is None
    settings.change({"outboundTrafficPolicy": None})
    assert settings.pending_restore() == TEXT
    settings.restore(TEXT)
    assert settings.pending_restore() is None
