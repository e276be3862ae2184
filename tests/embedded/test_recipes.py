"""The keys of entries in the cache, and the required content of versions.toml."""

from __future__ import annotations

import dataclasses
import re

import pytest
import yaml

from pytest_istio_egress.embedded.go_modules import PSEUDO
from pytest_istio_egress.embedded.istio_manifest import istio_settings
from pytest_istio_egress.embedded.versions import HERE, GoComponent, recipe_key, versions
from pytest_istio_egress.embedded.workshop import component_key

COMPONENT = GoComponent("etcd", "example.test/etcd", "v1.2.3", {"etcd": "example.test/etcd/cmd"})


@pytest.mark.parametrize(
    "change",
    [
        {"version": "v1.2.4"},
        {"tags": ("other",)},
        {"variables": {"main.version": "{version}"}},
        {"replace": {"example.test/x": "v1.0.0"}},
        {"binaries": {"etcd": "example.test/etcd/other"}},
        {"main": "package main"},
    ],
)
def test_a_change_of_the_recipe_changes_the_key(change: dict[str, object]) -> None:
    assert recipe_key(dataclasses.replace(COMPONENT, **change)) != recipe_key(COMPONENT)  # type: ignore[arg-type]  # fields by name


def test_the_key_of_an_earlier_version_remains() -> None:
    """Its parts in the cache are used again: what they are built from has not changed."""
    assert recipe_key(COMPONENT) == "b1ca162e74b88dd2"


def test_what_only_changes_the_speed_of_a_build_is_not_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = component_key(versions().components["kubernetes"])
    monkeypatch.setenv("GOGC", "50")
    assert component_key(versions().components["kubernetes"]) == before


def test_a_main_of_ours_is_read_from_its_file() -> None:
    for name in ("kubernetes", "coredns"):
        component = versions().components[name]
        assert component.main.startswith(f"// Command {name} is")
        assert set(component.binaries.values()) == {"embedded"}
        assert all(f'case "{binary}":' in component.main for binary in component.binaries) or name == "coredns"


def test_coredns_has_the_plugins_that_its_corefile_names() -> None:
    objects = yaml.safe_load_all((HERE / "manifests" / "coredns.yaml").read_text(encoding="utf-8"))
    corefile = next(found["data"]["Corefile"] for found in objects if found["kind"] == "ConfigMap")
    named = set(re.findall(r"^ {2}(\w+)", corefile, re.MULTILINE))
    assert named == set(re.findall(r"coredns/plugin/(\w+)", versions().components["coredns"].main))


def test_equal_recipes_share_a_key_whatever_their_order() -> None:
    one = dataclasses.replace(COMPONENT, replace={"a": "v1", "b": "v2"})
    other = dataclasses.replace(COMPONENT, replace={"b": "v2", "a": "v1"})
    assert recipe_key(one) == recipe_key(other)


def test_a_recipe_is_plain_data() -> None:
    with pytest.raises(TypeError):
        recipe_key(object())


def test_the_default_release_is_the_component() -> None:
    found = versions()
    assert found.components["istio"] == found.istio_at(found.default_release.version)


def test_every_release_has_its_envoy_line() -> None:
    found = versions()
    for release in found.releases.values():
        assert PSEUDO.match(release.version), release.name
        assert release.envoy in found.envoy_versions
        assert release.envoy.startswith(f"{found.envoy_lines[release.name]}.")
    assert found.envoy_version == found.envoy_versions[-1]
    assert found.oldest_release == min(found.envoy_lines)


def test_what_a_release_states_may_stand_in_for_another() -> None:
    unlisted = versions().substitutes.unlisted
    for release in versions().releases.values():
        assert all(version in unlisted[module] for module, version in release.replace.items())


def test_a_tag_that_the_binaries_print_is_part_of_the_key() -> None:
    assert len({component_key(COMPONENT), component_key(COMPONENT, "1.28.10"), component_key(COMPONENT, "1.28.9")}) == 3


def test_everything_is_pinned() -> None:
    for component in versions().components.values():
        assert PSEUDO.match(component.version) or re.fullmatch(r"v\d+\.\d+\.\d+", component.version), component.name
    for image in versions().images:
        tag = image.name.rpartition(":")[2]
        assert tag == "{istio}" or re.search(r"\d", tag), image.name
    assert "==" in versions().go_wheel


def test_every_file_of_an_image_comes_from_a_component() -> None:
    known = {f"{part.name}/{file}" for part in versions().components.values() for file in [*part.binaries, *part.keep]}
    for image in versions().images:
        for source in image.files.values():
            folder = source.partition("/")[0]
            assert source in known or folder not in versions().components, f"{image.name}: {source}"


def test_the_mesh_mode_reaches_istio() -> None:
    assert set(istio_settings("ALLOW_ANY", "1")) ^ set(istio_settings("REGISTRY_ONLY", "1")) == {
        "meshConfig.outboundTrafficPolicy.mode=ALLOW_ANY",
        "meshConfig.outboundTrafficPolicy.mode=REGISTRY_ONLY",
    }
