"""A pending change of the mesh configuration is restored, or waited for, before the mesh is detected."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.model.mesh_facts import Fact, MeshFacts
from pytest_istio_egress.run_target import Target, mesh_detection
from pytest_istio_egress.run_target.mesh_detection import after_pending_restore, warn_of_namespaces_that_will_stay

CHANGED = MeshFacts({"outbound-mode": Fact("ALLOW_ANY")})


class StandIn:
    """A ConfigMap whose configuration a run has changed."""

    changed = True
    waited = False

    def __init__(self, *_: object) -> None: ...

    def pending_restore(self) -> str | None:
        return "original text" if StandIn.changed else None

    def wait_unlocked(self) -> None:
        StandIn.waited, StandIn.changed = True, False


def after(
    monkeypatch: pytest.MonkeyPatch, *, changed: bool, alive: bool, prepared: bool = False
) -> tuple[Mesh, Mesh, list[str]]:
    messages: list[str] = []

    def restore(_: object, __: object, say: Callable[[str], None]) -> None:
        if not alive:
            say("restoring")
            StandIn.changed = False

    monkeypatch.setattr(StandIn, "changed", changed)
    monkeypatch.setattr(StandIn, "waited", False)
    monkeypatch.setattr(mesh_detection, "MeshConfigMap", StandIn)
    monkeypatch.setattr(mesh_detection, "restore_mesh_config", restore)
    mesh = Mesh(cast(Api, cast(Any, None)), CHANGED)
    target = Target("context", None, "mesh", "k3x9q", (), 1.0, allow_mesh_wide=False, prepared=prepared)
    return mesh, after_pending_restore(mesh, target, messages.append), messages


@pytest.mark.parametrize(("broken", "lines"), [([], 0), (["v1.dead.example"], 1)], ids=["none", "one"])
def test_broken_api_service_is_named_before_namespaces_are_created(broken: list[str], lines: int) -> None:
    said: list[str] = []
    warn_of_namespaces_that_will_stay(cast(Api, SimpleNamespace(broken_api_services=lambda: broken)), said.append)
    assert len(said) == lines
    assert all("APIService v1.dead.example does not answer" in line for line in said)


def test_unchanged_mesh_is_not_detected_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before, mesh, messages = after(monkeypatch, changed=False, alive=False)
    assert mesh is before
    assert not messages


def test_change_of_a_killed_run_is_restored_and_facts_detected_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before, mesh, messages = after(monkeypatch, changed=True, alive=False)
    assert mesh is not before
    assert not StandIn.waited
    assert messages == ["restoring"]


def test_change_of_another_run_is_waited_for_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    before, mesh, messages = after(monkeypatch, changed=True, alive=True)
    assert mesh is not before
    assert StandIn.waited
    assert len(messages) == 1


def test_run_with_prepared_namespaces_waits_as_it_does_not_see_other_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    after(monkeypatch, changed=True, alive=False, prepared=True)
    assert StandIn.waited
