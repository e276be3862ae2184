"""An ambient mesh of the embedded cluster: the user's ztunnel, and what is added for it alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_istio_egress.embedded import ClusterSpec, EmbeddedError
from pytest_istio_egress.embedded.bootstrap import bootstrap_folder, with_bootstrap
from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.cluster import asked_of
from pytest_istio_egress.embedded.istio_manifest import FOR_UPSTREAM_ENVOY, istio_settings
from pytest_istio_egress.embedded.progress import Silent
from pytest_istio_egress.embedded.versions import versions
from pytest_istio_egress.embedded.workshop import Workshop
from pytest_istio_egress.embedded.ztunnel import ask_version, own_ztunnel

PRINTS_VERSION = """#!/bin/sh
[ "$1" = version ] || exit 1
echo 'version.BuildInfo{Version:"1.31.0", GitRevision:"62d82653", RustVersion:"1.95.0", BuildProfile:"release"}'
"""


def program(folder: Path, text: str = PRINTS_VERSION) -> Path:
    binary = folder / "ztunnel"
    binary.write_text(text, encoding="utf-8")
    binary.chmod(0o755)
    return binary


def test_a_ztunnel_is_copied_into_the_cache_with_its_version(tmp_path: Path) -> None:
    binary = program(tmp_path)
    ztunnel = own_ztunnel(Workshop(Cache(tmp_path / "cache"), Silent()), binary)
    assert ztunnel.note == f"the node proxy is {binary}, ztunnel 1.31.0"
    assert (ztunnel.folder / "ztunnel").read_bytes() == binary.read_bytes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\necho envoy\n", r"does not print ztunnel's version \(it printed: envoy\)"),
        ("#!/bin/sh\n", "does not print ztunnel's version: use a ztunnel"),
        ("no program", "cannot be run"),
    ],
)
def test_another_binary_is_an_error_of_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(EmbeddedError, match=said) as raised:
        ask_version(program(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_an_error_before_anything_is_built(tmp_path: Path) -> None:
    shop = Workshop(Cache(tmp_path), Silent())
    with pytest.raises(EmbeddedError, match=r"ztunnel binary '.*/none' is not a file: use a ztunnel for this machine"):
        own_ztunnel(shop, tmp_path / "none")


def test_ambient_needs_a_ztunnel_and_a_ztunnel_ambient(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="needs a ztunnel binary, which is on no package registry") as raised:
        ClusterSpec(ambient=True)
    assert raised.value.remedy is not None
    assert "--ztunnel PATH" in raised.value.remedy
    with pytest.raises(EmbeddedError, match="add --ambient"):
        ClusterSpec(ztunnel=tmp_path)


def test_a_running_cluster_is_compared_by_its_data_plane(tmp_path: Path) -> None:
    ambient = ClusterSpec(ambient=True, ztunnel=program(tmp_path))
    assert asked_of(ClusterSpec())["data plane"] == "sidecar"
    assert asked_of(ambient)["data plane"].startswith("ambient (")
    before = asked_of(ambient)
    program(tmp_path, PRINTS_VERSION + "# another build\n")
    assert asked_of(ambient) != before


def test_only_an_ambient_mesh_has_ambient_settings() -> None:
    plain, ambient = istio_settings("REGISTRY_ONLY", "1.31"), istio_settings("REGISTRY_ONLY", "1.31", ambient=True)
    added = set(ambient) - set(plain)
    assert set(plain) < set(ambient)
    assert {"components.ztunnel.enabled=true", "values.pilot.env.PILOT_ENABLE_AMBIENT=true"} < added
    assert not any("ztunnel" in setting or "cni" in setting for setting in plain)


def test_a_waypoint_of_istios_own_envoy_needs_no_settings_for_upstream_envoy() -> None:
    upstream = istio_settings("ALLOW_ANY", "1", for_proxy=FOR_UPSTREAM_ENVOY, ambient=True)
    of_istio = istio_settings("ALLOW_ANY", "1", for_proxy=(), ambient=True)
    assert any("gatewayClasses.istio-waypoint" in setting for setting in upstream)
    assert not any("gatewayClasses" in setting for setting in of_istio)
    assert any("ISTIO_META_ENABLE_HBONE=true" in setting for setting in of_istio)


def test_bootstrap_for_upstream_envoy_lacks_the_extension_of_waypoints(tmp_path: Path) -> None:
    istio = tmp_path / "istio"
    istio.mkdir()
    extension = "{{- if .metadata_discovery }} {},{{- end }}"
    (istio / "envoy_bootstrap.json").write_text(f"[{extension} {{}}]", encoding="utf-8")
    folder = bootstrap_folder(Workshop(Cache(tmp_path / "cache"), Silent()), istio)
    assert "{{- if false }} {}," in (folder / "envoy_bootstrap.json").read_text(encoding="utf-8")


def test_only_the_image_of_proxies_has_that_bootstrap() -> None:
    changed = [image.name for image in versions().images if with_bootstrap(image) != image]
    assert changed == ["docker.io/istio/proxyv2:{istio}"]


def test_the_node_agent_is_a_part_of_its_own_that_is_built_from_istios_module() -> None:
    pinned = versions()
    istio = pinned.components["istio"]
    agent = pinned.istio_cni_of(istio)
    assert (agent.module, agent.version, agent.replace) == (istio.module, istio.version, istio.replace)
    assert agent.name not in pinned.components
    files = {source for image in pinned.ambient_images for source in image.files.values()}
    assert files == {"ztunnel/ztunnel", *(f"istio-cni/{name}" for name in agent.binaries)}
