"""What makes a failure's result invalid: pods that went or came, and a mesh configuration that others changed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from fake_cluster import POD

from pytest_istio_egress.pipeline import interference
from pytest_istio_egress.pipeline.interference import InterferenceDetector

ISTIOD = "istiod"


class Mesh:
    """A control plane, a client's pod and the egress gateway, as the detector sees them."""

    def __init__(self) -> None:
        self.gone: list[str] = []
        """What `changed_pods` says, by the pods that it is asked about."""
        self.added: list[str] = []
        self.config = "1"
        self.forgotten: list[str] = []
        self.unlocked = 0
        self.context = SimpleNamespace(
            api=None,
            timeouts=SimpleNamespace(leader=5.0),
            environment=SimpleNamespace(
                namespaces=("client",),
                pod_lookup=SimpleNamespace(pods_in_use=lambda: [POD]),
                forget=lambda: self.forgotten.append("pods"),
            ),
            access_logs=SimpleNamespace(
                pods_in_use=list, new_gateways=lambda: self.added, forget=lambda: self.forgotten.append("logs")
            ),
        )
        self.config_map = SimpleNamespace(
            control_plane="istio-system", version=lambda: self.config, wait_unlocked=self.wait_unlocked
        )

    def wait_unlocked(self) -> object:
        self.unlocked += 1
        return SimpleNamespace(metadata=SimpleNamespace(resource_version=self.config))

    def changed(self, _: object, pods: list[Any]) -> list[str]:
        return [f"{pod} was restarted" for pod in pods if str(pod) in self.gone]


@pytest.fixture
def mesh(monkeypatch: pytest.MonkeyPatch) -> Mesh:
    mesh = Mesh()
    monkeypatch.setattr(interference, "ready_pods", lambda *_: [ISTIOD])
    monkeypatch.setattr(interference, "changed_pods", mesh.changed)
    monkeypatch.setattr(interference, "foreign_policies", lambda *_: [])
    return mesh


@pytest.fixture
def detector(mesh: Mesh) -> InterferenceDetector:
    detector = InterferenceDetector(cast(Any, mesh.context), cast(Any, mesh.config_map))
    detector.begin()
    return detector


def test_nothing_is_detected_while_nothing_changes(detector: InterferenceDetector) -> None:
    assert detector.detect() is None


def test_new_replica_of_the_gateway_is_an_event_and_its_log_is_followed_anew(
    detector: InterferenceDetector, mesh: Mesh
) -> None:
    mesh.added = ["exit-2"]
    assert detector.detect() == "the egress gateway's pod exit-2 was added"
    assert mesh.forgotten == ["logs", "pods"]


def test_client_that_went_is_an_event(detector: InterferenceDetector, mesh: Mesh) -> None:
    mesh.gone = [str(POD)]
    assert detector.detect() == f"{POD} was restarted"


def test_istiod_that_went_is_an_event_and_its_leader_may_be_late(detector: InterferenceDetector, mesh: Mesh) -> None:
    mesh.gone = [ISTIOD]
    assert detector.detect() == f"{ISTIOD} was restarted"
    assert detector.unsettled_until > 0


def test_change_of_another_run_is_an_event_once_it_is_undone(detector: InterferenceDetector, mesh: Mesh) -> None:
    mesh.config = "2"
    assert detector.detect() == "the mesh configuration was changed"
    assert mesh.unlocked == 1
    assert detector.detect() is None


def test_change_of_this_run_is_no_event(detector: InterferenceDetector, mesh: Mesh) -> None:
    mesh.config = "2"
    detector.accept_mesh_change()
    assert detector.detect() is None
    assert mesh.unlocked == 0
