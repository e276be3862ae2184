"""Which Istio is built when the module proxy serves it, does not serve it, or refuses what it requires."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_modules import Go, ModuleProxy, replaces_for
from pytest_istio_egress.embedded.parts import Workshop, choose_istio, resolve_istio
from pytest_istio_egress.embedded.progress import Silent
from pytest_istio_egress.embedded.spec import ClusterSpec
from pytest_istio_egress.embedded.versions import GoComponent, versions

PINNED = GoComponent("istio", "istio.test/istio", "v0.0.0-20260101000000-aaaaaaaaaaaa", {})
LATER = "v0.0.0-20260601000000-bbbbbbbbbbbb"


class StandIn:
    """A module proxy that serves what it is told to: (module, what is asked) -> (version, time)."""

    def __init__(
        self, served: dict[tuple[str, str], tuple[str, str]], tags: dict[str, list[str]] | None = None
    ) -> None:
        self.served = served
        self.tags = tags or {}

    def resolve(self, module: str, version: str) -> tuple[str, str] | None:
        return self.served.get((module, version))

    def tagged(self, module: str) -> list[str]:
        return self.tags.get(module, [])


def proxy(served: dict[tuple[str, str], tuple[str, str]], tags: dict[str, list[str]] | None = None) -> ModuleProxy:
    return cast(ModuleProxy, StandIn(served, tags))


def test_the_pinned_version_is_taken_while_it_is_served() -> None:
    served = {(PINNED.module, PINNED.version): (PINNED.version, ""), (PINNED.module, "latest"): (LATER, "")}
    assert resolve_istio(None, PINNED, proxy(served)) == PINNED.version


def test_the_latest_takes_the_place_of_a_pinned_version_that_is_gone() -> None:
    assert resolve_istio(None, PINNED, proxy({(PINNED.module, "latest"): (LATER, "")})) == LATER


def test_a_version_asked_for_by_name_never_gives_way() -> None:
    with pytest.raises(EmbeddedError, match=r"does not serve Istio 1\.30\.2") as raised:
        resolve_istio("1.30.2", PINNED, proxy({(PINNED.module, "latest"): (LATER, "")}))
    assert LATER in str(raised.value)
    with pytest.raises(EmbeddedError, match="does not serve"):
        resolve_istio(PINNED.version, PINNED, proxy({(PINNED.module, "latest"): (LATER, "")}))


def test_nothing_served_at_all_is_an_error() -> None:
    with pytest.raises(EmbeddedError, match="serves no Istio at all"):
        resolve_istio(None, PINNED, proxy({}))


def test_the_change_of_version_is_a_note_and_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def gone(_self: ModuleProxy, _module: str, version: str) -> tuple[str, str] | None:
        asked.append(version)
        return (LATER, "") if version == "latest" else None

    monkeypatch.setattr(ModuleProxy, "resolve", gone)
    shop = Workshop(Cache(tmp_path), Silent(), Go(Path("go")))
    for _ in range(2):
        component, notes = choose_istio(ClusterSpec(), shop)
        assert component.version == LATER
        assert not component.replace
        assert len(notes) == 1
        assert versions().components["istio"].version in notes[0]
        assert LATER in notes[0]
    assert asked == [versions().components["istio"].version, "latest"]


def go_mod(require: dict[str, str], replace: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"Require": [{"Path": path, "Version": version} for path, version in require.items()], "Replace": replace}


def test_refused_pseudo_versions_give_way_to_the_first_tag_after_them() -> None:
    asked = "v1.31.0-rc.0.0.20260824154656-b943409680a7"
    served = {
        ("istio.test/api", "v1.31.1"): ("v1.31.1", "2026-09-01T10:00:00Z"),
        ("istio.test/api", "v1.31.0"): ("v1.31.0", "2026-08-01T10:00:00Z"),
        ("istio.test/api", "v1.32.0"): ("v1.32.0", "2026-12-01T10:00:00Z"),
    }
    tags = {"istio.test/api": ["v1.24.2", "v1.31.0", "v1.31.1", "v1.32.0"]}
    found = replaces_for(proxy(served, tags), go_mod({"istio.test/api": asked, "other.test/x": "v1.0.0"}), None)
    assert found == {"istio.test/api": "v1.31.1"}


def test_without_a_tag_the_latest_that_is_served_stands_in() -> None:
    asked = "v1.36.1-0.20260713214202-ca8ce173c36f"
    latest = "v1.36.1-0.20260729145720-a2d8c7492908"
    served = {("envoy.test/contrib", "latest"): (latest, "2026-07-29T14:57:20Z")}
    assert replaces_for(proxy(served), go_mod({"envoy.test/contrib": asked}), None) == {"envoy.test/contrib": latest}


def test_what_is_served_is_left_alone() -> None:
    asked = "v0.0.0-20260713214202-ca8ce173c36f"
    served = {("x.test/x", asked): (asked, "")}
    assert replaces_for(proxy(served), go_mod({"x.test/x": asked}), None) == {}


def test_a_refused_module_without_any_later_version_is_an_error() -> None:
    with pytest.raises(EmbeddedError, match=r"x\.test/x"):
        replaces_for(proxy({}), go_mod({"x.test/x": "v0.0.0-20260713214202-ca8ce173c36f"}), None)


def test_local_folders_become_published_modules() -> None:
    local = [{"Old": {"Path": "k8s.test/api"}, "New": {"Path": "./staging/src/k8s.test/api"}}]
    found = replaces_for(proxy({}), go_mod({"k8s.test/api": "v0.0.0"}, local), "v0.36.3")
    assert found == {"k8s.test/api": "v0.36.3"}
