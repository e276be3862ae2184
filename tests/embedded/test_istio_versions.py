"""The Istio that is built for a requested name, its Envoy, and the notes on both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_modules import Go, ModuleProxy
from pytest_istio_egress.embedded.go_sources import Replaced
from pytest_istio_egress.embedded.istio_release import (
    Found,
    choose_istio,
    envoy_for,
    look_at,
    replacement_notes,
    resolve_default,
    resolve_named,
)
from pytest_istio_egress.embedded.progress import Silent
from pytest_istio_egress.embedded.versions import versions
from pytest_istio_egress.embedded.workshop import Workshop

from .module_proxy import proxy

ISTIO = "istio.io/istio"
PINNED = versions().default_release.version
LATER = "v0.0.0-20990601000000-bbbbbbbbbbbb"


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(Cache(tmp_path), Silent(), Go(Path("go")))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A module proxy that serves 1.28.10, a later version as the latest, and neither of the known releases."""
    said: list[str] = []
    served = {"1.28.10": "v0.0.0-20260629163924-ff49c1889eba", "latest": LATER, "main": LATER}

    def resolve(_self: ModuleProxy, _module: str, version: str) -> tuple[str, str] | None:
        said.append(version)
        return (served[version], "") if version in served else None

    def looked(_proxy: ModuleProxy, _module: str, version: str) -> Found:
        return Found(version, "1.33" if version == LATER else "1.28", "v1.4.1")

    monkeypatch.setattr(ModuleProxy, "resolve", resolve)
    monkeypatch.setattr("pytest_istio_egress.embedded.istio_release.look_at", looked)
    return said


def test_the_default_is_taken_while_it_is_served() -> None:
    served = {(ISTIO, PINNED): (PINNED, ""), (ISTIO, "latest"): (LATER, "")}
    assert resolve_default(PINNED, proxy(served)) == PINNED


def test_the_latest_takes_the_place_of_a_default_that_is_gone() -> None:
    assert resolve_default(PINNED, proxy({(ISTIO, "latest"): (LATER, "")})) == LATER


def test_a_version_asked_for_by_name_never_gives_way() -> None:
    with pytest.raises(EmbeddedError, match=r"does not serve Istio 1\.30\.2") as raised:
        resolve_named("1.30.2", "1.30.2", proxy({(ISTIO, "latest"): (LATER, "")}))
    assert LATER in str(raised.value)
    assert "use 1.30 or 1.31" in str(raised.value)
    assert raised.value.remedy == "go list -m istio.io/istio@1.30.2"


@pytest.mark.parametrize("served", ["1.28.10", "v1.28.10"])
def test_a_tag_is_found_with_and_without_its_v(served: str) -> None:
    assert resolve_named("1.28.10", "1.28.10", proxy({(ISTIO, served): ("v1.28.10", "")})) == "v1.28.10"


def test_nothing_served_at_all_is_an_error() -> None:
    with pytest.raises(EmbeddedError, match="serves no version of Istio"):
        resolve_default(PINNED, proxy({}))


def test_the_change_of_version_is_a_note_and_is_remembered(shop: Workshop, asked: list[str]) -> None:
    for _ in range(2):
        chosen = choose_istio(None, shop)
        assert chosen.component.version == LATER
        assert not chosen.component.replace
        assert chosen.release == "1.33"
        (note,) = chosen.notes
        assert PINNED in note
        assert LATER in note
    assert asked == [PINNED, "latest"]


def test_a_known_release_is_data(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModuleProxy, "resolve", lambda _self, _module, version: (version, ""))
    for name, release in versions().releases.items():
        chosen = choose_istio(name, shop)
        assert (chosen.component.version, chosen.component.replace) == (release.version, release.replace)
        assert (chosen.release, chosen.envoy, chosen.gateway_api) == (name, release.envoy, release.gateway_api)
        assert not chosen.notes


def test_a_known_release_that_is_not_served_is_one_line(shop: Workshop, asked: list[str]) -> None:
    with pytest.raises(EmbeddedError, match=r"does not serve Istio 1\.30 "):
        choose_istio("1.30", shop)
    assert asked == [versions().releases["1.30"].version, "latest"]


@pytest.mark.parametrize("name", [None, PINNED])
def test_the_default_runs_with_the_newest_envoy(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.setattr(ModuleProxy, "resolve", lambda _self, _module, version: (version, ""))
    assert choose_istio(name, shop).envoy == versions().envoy_version
    assert choose_istio(name, shop).component == versions().components["istio"]


@pytest.mark.parametrize("name", ["1.28.10", "v1.28.10"])
def test_a_tag_is_resolved_once_and_printed(shop: Workshop, asked: list[str], name: str) -> None:
    for _ in range(2):
        chosen = choose_istio(name, shop)
        assert chosen.tag == "1.28.10"
        assert (chosen.release, chosen.envoy, chosen.gateway_api) == ("1.28", "1.36.4", "v1.4.1")
        assert not chosen.component.replace
    assert asked == ["1.28.10"]


def test_a_branch_may_mean_something_else_tomorrow(shop: Workshop, asked: list[str]) -> None:
    for _ in range(2):
        chosen = choose_istio("main", shop)
        assert chosen.tag is None
        assert chosen.component.version == LATER
    assert asked == ["main", "main"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("1.23.4", r"Istio 1\.23\.4 is too old: use 1\.24 or a later release"),
        ("1.9", r"Istio 1\.9 is too old"),
        ("1.28", r"Istio 1\.28 is not one of the releases 1\.30 and 1\.31: use a tag .* such as 1\.28\.0"),
        ("1.99", r"Istio 1\.99 is not one of the releases"),
    ],
)
def test_too_old_or_unknown_is_one_line_before_anything_is_asked(
    shop: Workshop, asked: list[str], name: str, why: str
) -> None:
    with pytest.raises(EmbeddedError, match=why) as raised:
        choose_istio(name, shop)
    assert "\n" not in str(raised.value)
    assert not asked


def test_a_commit_of_a_known_release_takes_its_replaces_along() -> None:
    for release in versions().releases.values():
        assert versions().istio_at(release.version).replace == release.replace
    assert not versions().istio_at(LATER).replace


class Sources:
    """A module proxy that has one folder."""

    def __init__(self, folder: Path, require: list[dict[str, str]]) -> None:
        self.folder = folder
        self.require = require

    def download(self, _module: str, _version: str) -> Path:
        return self.folder

    def go_mod(self, _folder: Path) -> dict[str, Any]:
        return {"Require": self.require}


GATEWAY_API = [{"Path": "sigs.k8s.io/gateway-api", "Version": "v1.4.1"}]


def test_the_module_says_which_release_it_is(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("1.28\n", encoding="utf-8")
    found = look_at(Sources(tmp_path, GATEWAY_API), ISTIO, LATER)  # type: ignore[arg-type]  # no other method is called
    assert found == Found(LATER, "1.28", "v1.4.1")


@pytest.mark.parametrize(("said", "require"), [(None, GATEWAY_API), ("main", GATEWAY_API), ("1.28", [])])
def test_a_module_that_does_not_say_its_release(
    tmp_path: Path, said: str | None, require: list[dict[str, str]]
) -> None:
    if said:
        (tmp_path / "VERSION").write_text(said, encoding="utf-8")
    with pytest.raises(EmbeddedError, match="does not state its release"):
        look_at(Sources(tmp_path, require), ISTIO, LATER)  # type: ignore[arg-type]  # no other method is called


@pytest.mark.parametrize(
    ("release", "envoy", "note"),
    [
        ("1.28", "1.36.4", None),
        ("1.30", "1.38.3", None),
        ("1.24", "1.36.4", "Istio 1.24 has Envoy 1.32, which is not available: using 1.36.4, the next one"),
        ("1.99", "1.40.0", "the Envoy version of Istio 1.99 is unknown: using 1.40.0, the newest"),
    ],
)
def test_the_envoy_that_belongs_to_a_release_or_the_nearest_later_one(
    release: str, envoy: str, note: str | None
) -> None:
    assert envoy_for(release) == (envoy, (note,) if note else ())


def test_what_was_replaced_is_told() -> None:
    (note,) = replacement_notes(
        "Istio 1.28.10", (Replaced("istio.test/api", "v1.28.9", "v1.30.8"), Replaced("x.test/x", "v1", "v2"))
    )
    assert note.startswith("Istio 1.28.10 was built with other versions")
    assert note.endswith(": istio.test/api v1.30.8 instead of v1.28.9, x.test/x v2 instead of v1")
    assert replacement_notes("Istio 1.31", ()) == ()
