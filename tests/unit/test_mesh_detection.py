"""A run that finds the mesh changed does not take the change for the mesh."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.model.mesh_facts import Fact, MeshFacts
from pytest_istio_egress.run_target import mesh_detection as mesh
from pytest_istio_egress.run_target.mesh_detection import after_pending_restore

CHANGED = MeshFacts({"outbound-mode": Fact("ALLOW_ANY")})


class Settings:
    """A mesh configuration that a run has changed; `alive` is whether that run will put it back itself."""

    changed = True
    waited = False

    def __init__(self, *_: object) -> None: ...

    def left_changed(self) -> str | None:
        return "as it was" if Settings.changed else None

    def unchanged(self) -> None:
        Settings.waited, Settings.changed = True, False


def seen_by(monkeypatch: pytest.MonkeyPatch, *, changed: bool, alive: bool) -> tuple[Mesh, Mesh, list[str]]:
    said: list[str] = []

    def put_back(_: object, __: object, say: Callable[[str], None]) -> None:
        if not alive:
            say("putting it back")
            Settings.changed = False

    monkeypatch.setattr(Settings, "changed", changed)
    monkeypatch.setattr(Settings, "waited", False)
    monkeypatch.setattr(mesh, "MeshSettings", Settings)
    monkeypatch.setattr(mesh, "restore_mesh_config", put_back)
    found = Mesh(cast(Api, cast(Any, None)), CHANGED)
    return found, after_pending_restore(found, said.append), said


def test_a_mesh_that_nobody_changed_is_taken_as_it_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found, taken, said = seen_by(monkeypatch, changed=False, alive=False)
    assert taken is found
    assert not said


def test_what_a_killed_run_changed_is_put_back_and_found_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found, taken, said = seen_by(monkeypatch, changed=True, alive=False)
    assert taken is not found
    assert not Settings.waited
    assert said == ["putting it back"]


def test_another_runs_change_is_waited_for_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found, taken, said = seen_by(monkeypatch, changed=True, alive=True)
    assert taken is not found
    assert Settings.waited
    assert len(said) == 1
