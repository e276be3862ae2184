"""The user's own Envoy: its version and extensions, and the settings of Istio for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.cluster import asked_of
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_modules import Go
from pytest_istio_egress.embedded.istio_manifest import FOR_UPSTREAM_ENVOY, istio_settings, settings_for
from pytest_istio_egress.embedded.progress import Silent
from pytest_istio_egress.embedded.proxies import own_proxy
from pytest_istio_egress.embedded.proxy_binary import About, ask, fingerprint, proxy_notes
from pytest_istio_egress.embedded.spec import ClusterSpec
from pytest_istio_egress.embedded.versions import versions
from pytest_istio_egress.embedded.workshop import Workshop

HTTP = ("envoy.filters.http.router", "istio.alpn", "envoy.filters.http.istio_stats", "envoy.filters.http.peer_metadata")
NETWORK = ("envoy.filters.network.tcp_proxy", "envoy.filters.network.metadata_exchange")
OF_ISTIO = (*HTTP, *NETWORK)
COMMIT = "81864a1cd5099d2f9e1289bfc604f4b200b2b27c"
ENVOY = """#!/bin/sh
case "$*" in
*--version*) echo "$0  version: {commit}/1.38.1-dev/Clean/RELEASE/BoringSSL" ;;
*--config-yaml*)
  exec >&2
  echo '[2026-11-26 23:01:17.261][9101][info][main] [source/server/server.cc:465] statically linked extensions:'
  echo '[2026-11-26 23:01:17.261][9101][info][main] [source/server/server.cc:467]   envoy.filters.http: {http}'
  echo '[2026-11-26 23:01:17.261][9101][info][main] [source/server/server.cc:467]   envoy.filters.network: {network}'
  echo 'Protobuf message (type envoy.config.bootstrap.v3.Bootstrap) has unknown fields'
  exit 1 ;;
esac
"""


def envoy(folder: Path, http: Sequence[str] = HTTP, network: Sequence[str] = NETWORK) -> Path:
    """A program that prints the same as Envoy."""
    binary = folder / "envoy"
    said = ENVOY.format(commit=COMMIT, http=", ".join(http), network=", ".join(network))
    binary.write_text(said, encoding="utf-8")
    binary.chmod(0o755)
    return binary


def test_an_envoy_says_its_version_and_its_extensions(tmp_path: Path) -> None:
    assert ask(envoy(tmp_path)) == About("1.38.1-dev", COMMIT, tuple(sorted(OF_ISTIO)))


@pytest.mark.parametrize("said", ["#!/bin/sh\necho envoy\n", "no program", "#!/bin/sh\necho version: a/1.38.1/Clean\n"])
def test_what_is_no_envoy_is_one_line(tmp_path: Path, said: str) -> None:
    binary = tmp_path / "other"
    binary.write_text(said, encoding="utf-8")
    binary.chmod(0o755)
    with pytest.raises(
        EmbeddedError, match=r"proxy binary .*other' (does not print Envoy's version|cannot be run)"
    ) as raised:
        ask(binary)
    assert "\n" not in str(raised.value)
    assert raised.value.remedy == f"{binary} --version"


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="is not a file"):
        asked_of(ClusterSpec(proxy_binary=tmp_path / "nobody"))


def test_istios_own_build_needs_no_settings() -> None:
    assert settings_for(OF_ISTIO) == ()
    assert not set(FOR_UPSTREAM_ENVOY) & set(istio_settings("REGISTRY_ONLY", "1.30", for_proxy=settings_for(OF_ISTIO)))


def test_upstream_envoy_needs_all_of_them() -> None:
    assert settings_for(("envoy.filters.http.router",)) == FOR_UPSTREAM_ENVOY
    assert set(FOR_UPSTREAM_ENVOY) <= set(istio_settings("REGISTRY_ONLY", "1.30"))


@pytest.mark.parametrize(
    ("lacking", "setting"),
    [
        ("istio.alpn", "values.pilot.env.PILOT_ENABLE_ALPN_FILTER=false"),
        ("envoy.filters.http.peer_metadata", "values.pilot.env.PILOT_ENABLE_METADATA_EXCHANGE=false"),
        ("envoy.filters.network.metadata_exchange", "values.pilot.env.PILOT_ENABLE_METADATA_EXCHANGE=false"),
        ("envoy.filters.http.istio_stats", "values.telemetry.enabled=false"),
    ],
)
def test_each_filter_that_is_lacking_has_its_setting(lacking: str, setting: str) -> None:
    has = tuple(name for name in OF_ISTIO if name != lacking)
    assert settings_for(has) == (setting,)
    (note,) = proxy_notes(Path("/opt/envoy"), About("1.38.1", COMMIT, has))
    assert (
        note
        == f"proxies run /opt/envoy, Envoy 1.38.1 ({COMMIT[:12]}), which lacks {lacking} (Istio is configured for this)"
    )


def test_proxy_binary_is_copied_once_and_noted(tmp_path: Path) -> None:
    shop = Workshop(Cache(tmp_path / "cache"), Silent(), Go(Path("go")))
    binary = envoy(tmp_path)
    proxy = own_proxy(shop, binary)
    assert (proxy.folder / "envoy").read_bytes() == binary.read_bytes()
    assert (proxy.version, proxy.tag, proxy.settings) == ("1.38.1-dev", fingerprint(binary), ())
    assert "has all of Istio's own filters" in proxy.notes[0]
    assert own_proxy(shop, binary) == proxy
    usual = next(image for image in versions().images if "/proxyv2:" in image.name)
    assert proxy.image(usual, "1.30-dev").environment["ISTIO_META_ISTIO_PROXY_SHA"] == COMMIT
    assert usual.tagged("1.30-dev").environment["ISTIO_META_ISTIO_PROXY_SHA"] == "upstream-envoy"


def test_a_cluster_is_known_by_what_the_binary_holds(tmp_path: Path) -> None:
    before = asked_of(ClusterSpec(proxy_binary=envoy(tmp_path)))["Envoy"]
    assert asked_of(ClusterSpec(proxy_binary=envoy(tmp_path)))["Envoy"] == before
    assert asked_of(ClusterSpec(proxy_binary=envoy(tmp_path, http=())))["Envoy"] != before


@pytest.mark.parametrize(
    ("spec", "envoy_asked"),
    [
        (ClusterSpec(), versions().envoy_version),
        (ClusterSpec(istio=versions().default_release.version), versions().envoy_version),
        (ClusterSpec(istio="1.30"), versions().releases["1.30"].envoy),
        (ClusterSpec(istio="1.28.10"), "of Istio 1.28.10"),
        (ClusterSpec(istio="1.28.10", envoy="1.40.0"), "1.40.0"),
    ],
)
def test_a_cluster_is_known_by_the_envoy_that_goes_with_its_istio(spec: ClusterSpec, envoy_asked: str) -> None:
    assert asked_of(spec)["Envoy"] == envoy_asked


def test_two_envoys_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="use one of them"):
        ClusterSpec(envoy="1.40.0", proxy_binary=tmp_path)
