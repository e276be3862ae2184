"""Chooses the Istio to build, a known release or another that the Go module proxy serves, and the Envoy for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_modules import ModuleProxy
from pytest_istio_egress.embedded.go_sources import Replaced
from pytest_istio_egress.embedded.versions import GoComponent, Release, recipe_key, versions
from pytest_istio_egress.embedded.workshop import Workshop, component_key

LINE = re.compile(r"\d+\.\d+")  # a release by its line, such as 1.30
TAG = re.compile(r"v?(\d+\.\d+)\.\d+(-[a-z]+\.\d+)?")  # such as 1.28.10 or 1.31.0-rc.0
FIXED = re.compile(r"v?\d+\.\d+\.\d+(-.*)?|[0-9a-f]{12,40}")  # a tag, a pseudo-version or a commit
WHY = "the module proxy no longer serves it"


@dataclass(frozen=True)
class Found:
    """The version of the module that a name resolves to, and its release and Gateway API by the module's files."""

    version: str
    release: str
    gateway_api: str


@dataclass(frozen=True)
class Chosen:
    """The Istio to build, with its Envoy. `tag` is the release that it prints; None: the one in its file VERSION.

    `envoy` is the version of upstream Envoy that belongs to it, or the nearest; then `envoy_notes` has a note.
    """

    component: GoComponent
    release: str
    gateway_api: str
    envoy: str
    envoy_notes: tuple[str, ...] = ()
    tag: str | None = None
    notes: tuple[str, ...] = ()


def choose_istio(asked: str | None, shop: Workshop) -> Chosen:
    """Return the Istio to build for a known release, a tag, a commit or another version; None means the default one.

    Raises EmbeddedError for a release that is too old or unknown, and for a version that is not served.
    """
    if known := versions().release(asked):
        return _known(asked, known, shop)
    assert asked is not None
    _refuse_unknown(asked)
    tag = asked.removeprefix("v") if TAG.fullmatch(asked) else None
    found = _found(shop, tag or asked, lambda proxy: resolve_named(asked, tag or asked, proxy))
    _refuse_old(asked, found.release)
    envoy, notes = envoy_for(found.release)
    return Chosen(versions().istio_at(found.version), found.release, found.gateway_api, envoy, notes, tag)


def _known(asked: str | None, release: Release, shop: Workshop) -> Chosen:
    """Choose a known release. Where the user named none, `@latest` replaces a default that is not served."""
    pinned = versions()
    envoy = pinned.envoy_with(asked) or release.envoy
    known = Chosen(pinned.istio_at(release.version), release.name, release.gateway_api, envoy)
    if shop.cache.has("istio", component_key(known.component)):
        return known
    if asked is not None:
        with shop.module_proxy() as proxy:
            resolve_named(asked, release.version, proxy)
        return known
    found = _found(shop, release.version, lambda proxy: resolve_default(release.version, proxy))
    if found.version == release.version:
        return known
    note = f"Istio {release.version} is pinned, but {WHY}: using {found.version}"
    return Chosen(pinned.istio_at(found.version), found.release, found.gateway_api, envoy, notes=(note,))


def _refuse_unknown(asked: str) -> None:
    """Raise EmbeddedError for a release that is too old, and for an unknown one without its patch number."""
    if tag := TAG.fullmatch(asked):
        _refuse_old(asked, tag[1])
    if LINE.fullmatch(asked):
        _refuse_old(asked, asked)
        raise EmbeddedError(
            f"Istio {asked} is not one of the releases {_names()}: use a tag of it that your Go module proxy serves, "
            f"such as {asked}.0"
        )


def _refuse_old(asked: str, release: str) -> None:
    oldest = versions().oldest_release
    if _numbers(release) < _numbers(oldest):
        raise EmbeddedError(f"Istio {asked} is too old: use {oldest} or a later release")


def _names() -> str:
    return " and ".join(sorted(versions().releases, key=_numbers))


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))


def _found(shop: Workshop, name: str, resolve: Callable[[ModuleProxy], str]) -> Found:
    """Resolve a name. A tag, version or commit is resolved once and cached; a branch may move."""
    module = versions().components["istio"].module

    def find() -> Found:
        shop.progress.note(f"resolving {module}@{name} with the Go module proxy")
        with shop.module_proxy() as proxy:
            return look_at(proxy, module, resolve(proxy))

    if not FIXED.fullmatch(name):
        return find()

    def make(into: Path) -> None:
        (into / "found.json").write_text(json.dumps(asdict(find())), encoding="utf-8")

    entry = shop.cache.get("resolved", recipe_key("found", module, name), make)
    return Found(**json.loads((entry / "found.json").read_bytes()))


def look_at(proxy: ModuleProxy, module: str, version: str) -> Found:
    """Return the release by the module's own files. Raises EmbeddedError where they do not state it."""
    source = proxy.download(module, version)
    file = source / (versions().components["istio"].release_file or "VERSION")
    said = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    release = LINE.match(said)
    required = {entry["Path"]: entry["Version"] for entry in proxy.go_mod(source).get("Require") or []}
    gateway_api = required.get(versions().gateway_api_module)
    if not release or not gateway_api:
        raise EmbeddedError(
            f"Istio {version} does not state its release in the files VERSION and go.mod: use "
            f"{versions().oldest_release} or a later release"
        )
    return Found(version, release[0], gateway_api)


def resolve_default(version: str, proxy: ModuleProxy) -> str:
    """Return the pinned version if it is served, else `@latest`. Raises EmbeddedError if neither is served."""
    module = versions().components["istio"].module
    if answer := proxy.resolve(module, version) or proxy.resolve(module, "latest"):
        return answer[0]
    raise EmbeddedError(f"the Go module proxy serves no version of Istio: neither {version} nor a later one")


def resolve_named(asked: str, name: str, proxy: ModuleProxy) -> str:
    """Return the version of the module that a name resolves to. Raises EmbeddedError if it is not served."""
    module = versions().components["istio"].module
    # Istio's tags have no "v". A proxy that reads the repository takes them as they are; one that serves a tag as a
    # module's version has to put it in front.
    for query in [name, f"v{name}"] if TAG.fullmatch(name) else [name]:
        if answer := proxy.resolve(module, query):
            return answer[0]
    latest = proxy.resolve(module, "latest")
    served = f" (it serves {latest[0]})" if latest else ""
    raise EmbeddedError(
        f"the Go module proxy does not serve Istio {asked}{served}: use {_names().replace(' and ', ' or ')}, or set "
        "GOPROXY to a proxy that serves it",
        f"go list -m {module}@{name}",
    )


def envoy_for(release: str) -> tuple[str, tuple[str, ...]]:
    """Return the version of upstream Envoy to run a release of Istio with, and notes where it is not Istio's own."""
    pinned = versions()
    newest = pinned.envoy_versions[-1]
    line = pinned.envoy_lines.get(release)
    if line is None:
        return newest, (f"the Envoy version of Istio {release} is unknown: using {newest}, the newest",)
    later = [version for version in pinned.envoy_versions if _numbers(version)[:2] >= _numbers(line)]
    if not later:
        return newest, (f"Istio {release} has Envoy {line}, which is not available: using {newest}, the newest",)
    if _numbers(later[0])[:2] == _numbers(line):
        return later[0], ()
    return later[0], (f"Istio {release} has Envoy {line}, which is not available: using {later[0]}, the next one",)


def replacement_notes(what: str, replaced: tuple[Replaced, ...]) -> tuple[str, ...]:
    """Return the note on a component that was built with replaced requirements; none where nothing was replaced."""
    if not replaced:
        return ()
    each = ", ".join(f"{entry.module} {entry.built} instead of {entry.asked}" for entry in replaced)
    return (f"{what} was built with other versions of modules that the Go module proxy does not serve: {each}",)
