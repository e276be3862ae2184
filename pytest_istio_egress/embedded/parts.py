"""Collects the parts of one cluster, from the cache or by building them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_istio_egress.embedded.bootstrap import bootstrap_folder, with_bootstrap
from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.go_build import replaced_in
from pytest_istio_egress.embedded.images import make_image_store
from pytest_istio_egress.embedded.istio_manifest import istio_settings, make_istio_manifest
from pytest_istio_egress.embedded.istio_release import Chosen, choose_istio, replacement_notes
from pytest_istio_egress.embedded.progress import Progress
from pytest_istio_egress.embedded.proxies import Proxy, own_proxy, upstream_proxy
from pytest_istio_egress.embedded.root_filesystem import make_root_filesystem, root_filesystem_key
from pytest_istio_egress.embedded.spec import ClusterSpec
from pytest_istio_egress.embedded.versions import Definitions, GoComponent, Image, recipe_key, versions
from pytest_istio_egress.embedded.workshop import Workshop, step_of
from pytest_istio_egress.embedded.ztunnel import Ztunnel, own_ztunnel


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
    ip_family: str
    ambient: bool = False
    upstream_waypoints: bool = False


def prepare(spec: ClusterSpec, cache: Cache, progress: Progress) -> Parts:
    """Return the parts of a cluster; those that the cache lacks are built or downloaded.

    Raises EmbeddedError for a version that is not served, a failed build or a full disk.
    """
    pinned = versions()
    shop = Workshop(cache, progress)
    progress.expect(len(pinned.components) + 5 + (spec.proxy_binary is not None) + 3 * spec.ambient)
    ztunnel = own_ztunnel(shop, spec.ztunnel) if spec.ztunnel else None  # a wrong one fails before anything is built
    with threads() as aside, threads() as sources:
        root = aside.submit(root_folder, shop)
        # A version that is not available fails before the other parts are built, which takes minutes.
        istio = choose_istio(spec.istio, shop)
        envoys = aside.submit(_envoys, spec, istio, shop)
        components = _components(shop, istio, envoys, sources)
        proxy, outside = envoys.result()
        release = release_in(components["istio"])
        folders = {**components, "envoy": outside.folder, "proxy": proxy.folder}
        images = tuple(proxy.image(image, release) for image in pinned.images)
        if ztunnel:
            folders |= _ambient_folders(shop, istio, ztunnel)
            images += tuple(image.tagged(release) for image in pinned.ambient_images)
        if ztunnel and proxy.settings:  # it lacks parts of Istio's own Envoy
            folders |= {"bootstrap": bootstrap_folder(shop, components["istio"])}
            images = tuple(map(with_bootstrap, images))
        store = _images(shop, folders, images, root.result())
    return Parts(
        components=components,
        images=store,
        istio_manifest=rendered_istio(shop, components["istio"], _settings(spec, release, proxy), istio.gateway_api),
        istio=release,
        envoy=proxy.version,
        kubernetes=pinned.components["kubernetes"].version,
        notes=notes_of(spec, istio, proxy, components) + ((ztunnel.note,) if ztunnel else ()),
        ip_family=spec.ip_family,
        ambient=spec.ambient,
        upstream_waypoints=spec.ambient and bool(proxy.settings),
    )


@contextmanager
def threads() -> Iterator[Executor]:
    """Yield an executor for work beside the calling thread, in order; what has not begun at the end never does."""
    executor = ThreadPoolExecutor(1)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def _components(
    shop: Workshop, istio: Chosen, envoys: Future[tuple[Proxy, Proxy]], sources: Executor
) -> dict[str, Path]:
    """Return the folders of all components, one built after the other; their sources are fetched beside that.

    Raises the error of `envoys` as soon as it is known.
    """
    wanted = [(component, None) for name, component in versions().components.items() if name != "istio"]
    tagged = [*wanted, (istio.component, istio.tag)]
    missing = [component for component, tag in tagged if shop.lacks(component, tag)]
    shop.progress.builds(_recorded(tagged, missing))
    shop.fetch_ahead(missing, sources)
    folders = {}
    for component, tag in tagged:
        if envoys.done():
            envoys.result()
        folders[component.name] = shop.component(component, tag)
    return folders


def _recorded(tagged: Sequence[tuple[GoComponent, str | None]], missing: Sequence[GoComponent]) -> dict[str, float]:
    """Return the recorded seconds of the steps that build the missing components."""
    known = versions().recorded
    return {step_of(part, tag): known[part.name].seconds for part, tag in tagged if part in missing}


def _ambient_folders(shop: Workshop, istio: Chosen, ztunnel: Ztunnel) -> dict[str, Path]:
    """Return the folders of the components that only an ambient mesh has."""
    agent = shop.component(versions().istio_cni_of(istio.component), istio.tag)
    return {"istio-cni": agent, "ztunnel": ztunnel.folder}


def _settings(spec: ClusterSpec, release: str, proxy: Proxy) -> tuple[str, ...]:
    """Return the settings of Istio's installation."""
    return istio_settings(
        spec.mesh_mode,
        release,
        spec.compatibility,
        for_proxy=proxy.settings,
        ip_family=spec.ip_family,
        ambient=spec.ambient,
    )


def _envoys(spec: ClusterSpec, istio: Chosen, shop: Workshop) -> tuple[Proxy, Proxy]:
    """Return the Envoy of the proxies, and that of the external servers."""
    proxy = proxy_for(spec, istio, shop)
    return proxy, upstream_proxy(shop, istio.envoy) if spec.proxy_binary else proxy


def proxy_for(spec: ClusterSpec, istio: Chosen, shop: Workshop) -> Proxy:
    """Return the Envoy of the proxies: the user's own, the requested version, or the one that belongs to Istio."""
    if spec.proxy_binary is not None:
        return own_proxy(shop, spec.proxy_binary)
    return upstream_proxy(shop, spec.envoy or istio.envoy)


def notes_of(spec: ClusterSpec, istio: Chosen, proxy: Proxy, components: dict[str, Path]) -> tuple[str, ...]:
    """Return the notes for a report; those on the Envoy of this Istio only where the user chose no Envoy."""
    of_envoy = istio.envoy_notes if spec.envoy is None and spec.proxy_binary is None else ()
    built = [
        note
        for name, folder in components.items()
        for note in replacement_notes(f"{name.capitalize()} {release_in(folder)}", replaced_in(folder))
    ]
    return (*istio.notes, *built, *of_envoy, *proxy.notes)


def release_in(built: Path) -> str:
    """Return the release that the binaries of a component print."""
    return (built / "release").read_text(encoding="utf-8")


def root_folder(shop: Workshop) -> Path:
    """Return the folder with root.tar, the layer below every image."""
    packages = versions().root_packages
    key = root_filesystem_key(packages)
    return shop.step("root file system", "root", key, lambda into: make_root_filesystem(packages, into), "made")


def rendered_istio(shop: Workshop, istio: Path, settings: tuple[str, ...], gateway_api: str) -> Path:
    """Return the file of Istio's objects as the istioctl in the folder `istio`, an entry of the cache, renders them.

    The kinds of that version of the Gateway API are among them.
    """
    wanted = versions().gateway_api(gateway_api)
    definitions = _definitions(shop, wanted)
    rendered = shop.step(
        "Istio's manifest",
        "istio-manifest",
        recipe_key(istio.name, settings, wanted),  # a folder's name in the cache is the hash of its recipe
        lambda into: make_istio_manifest(istio / "istioctl", settings, definitions, into),
        "rendered",
    )
    return rendered / "istio.json"


def _definitions(shop: Workshop, wanted: Definitions) -> Path:
    """Return a folder with the YAML files of the kinds that a module defines."""

    def make(into: Path) -> None:
        with shop.module_proxy() as proxy:
            source = proxy.download(wanted.module, wanted.version) / wanted.definitions
        for file in sorted(source.glob("*.yaml")):
            shutil.copyfile(file, into / file.name)

    return shop.step(f"Gateway API {wanted.version}", "gateway-api", recipe_key(wanted), make, "fetched")


def _images(shop: Workshop, folders: dict[str, Path], images: tuple[Image, ...], root: Path) -> Path:
    sources = {
        source: folders[source.split("/")[0]] / source.split("/")[1] for i in images for source in i.files.values()
    }
    # A folder's name in the cache is the hash of its recipe, so it identifies the content.
    key = recipe_key(images, sorted(f"{source}@{path.parent.name}" for source, path in sources.items()), root.name)
    return shop.step(
        "images",
        "images",
        key,
        lambda into: make_image_store(images, sources, root / "root.tar", folders["containerd"], into),
        "made",
    )
