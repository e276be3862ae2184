"""Reads versions.toml, the parts of the cluster as data, and computes the key of each part in the cache."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class GoComponent:
    """One wrapper module and the binaries built from it; `replace` maps a module to the version put in its place.

    `main` is the Go source of a command in the wrapper module itself, for the package `embedded`.
    """

    name: str
    module: str
    version: str
    binaries: dict[str, str]
    tags: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    replace: dict[str, str] = field(default_factory=dict)
    staging_version: str | None = None
    release_file: str | None = None
    keep: dict[str, str] = field(default_factory=dict)
    main: str = ""


@dataclass(frozen=True)
class Release:
    """A release of Istio that is known to build: the version of its module, its Envoy, its Gateway API.

    `envoy` is a version of the Envoy that its own proxies are built from, `gateway_api` that of the Gateway API in its
    go.mod, `replace` has the versions in place of requirements that are not served.
    """

    name: str
    version: str
    envoy: str
    gateway_api: str
    replace: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Substitutes:
    """Substitutes for a version that is not served, besides the versions that the proxy lists.

    `together` are modules that fit each other at equal versions only, and have a line for each release; `unlisted`
    maps a module to versions that a proxy may serve without listing them.
    """

    together: tuple[tuple[str, ...], ...] = ()
    unlisted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def family(self, module: str) -> tuple[str, ...]:
        """Return the module and the modules that must have the same version."""
        return next((family for family in self.together if module in family), (module,))


@dataclass(frozen=True)
class Definitions:
    """Custom resources that a Go module defines: YAML files in its folder `definitions`."""

    module: str
    version: str
    definitions: str


@dataclass(frozen=True)
class Image:
    """One container image: a layer of `files` (path in the image -> "component/file") and its configuration."""

    name: str
    files: dict[str, str] = field(default_factory=dict)
    directories: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = "65532:65532"
    environment: dict[str, str] = field(default_factory=dict)

    def tagged(self, istio: str, proxy: str = "upstream-envoy") -> Image:
        """Put the tag of Istio, and which Envoy its proxies are, into the name and the environment."""
        environment = {name: value.format(istio=istio, proxy=proxy) for name, value in self.environment.items()}
        return replace(self, name=self.name.format(istio=istio), environment=environment)


@dataclass(frozen=True)
class Recorded:
    """What building a component once took, for estimates: seconds on two cores, and compiled packages."""

    seconds: float
    packages: int


@dataclass(frozen=True)
class Versions:
    """The whole file. `components` has Istio in its default release.

    `envoy_lines` maps a release of Istio to the line of Envoy (such as 1.36) that its own proxies are built from;
    `envoy_versions` are the available ones, oldest first.
    """

    go_minimum: tuple[int, ...]
    go_wheel: str
    components: dict[str, GoComponent]
    substitutes: Substitutes
    releases: dict[str, Release]
    default_release: Release
    oldest_release: str
    envoy_lines: dict[str, str]
    envoy_distribution: str
    envoy_version: str
    envoy_versions: tuple[str, ...]
    envoy_member: str
    gateway_api_module: str
    gateway_api_definitions: str
    root_packages: tuple[str, ...]
    images: tuple[Image, ...]
    recorded: dict[str, Recorded]
    ambient_binaries: dict[str, str]
    ambient_images: tuple[Image, ...]

    def release(self, asked: str | None) -> Release | None:
        """Return the known release of a name or of a version of the module; None is the default one."""
        if asked is None:
            return self.default_release
        return next((found for found in self.releases.values() if asked in {found.name, found.version}), None)

    def envoy_with(self, asked: str | None) -> str | None:
        """Return the version of Envoy that belongs to a requested Istio; None where it is not a known release.

        The default release runs with the newest, unless it was requested by its name.
        """
        if asked in {None, self.default_release.version}:
            return self.envoy_version
        return found.envoy if (found := self.release(asked)) else None

    def istio_at(self, version: str) -> GoComponent:
        """Return Istio at a version of its module, with the replaces of the release that it is, if it is one."""
        known = {release.version: release.replace for release in self.releases.values()}
        return replace(self.components["istio"], version=version, replace=known.get(version, {}))

    def istio_cni_of(self, istio: GoComponent) -> GoComponent:
        """Return the node agent of Istio's CNI plugin, from the module of an Istio."""
        return replace(istio, name="istio-cni", binaries=self.ambient_binaries, keep={})

    def gateway_api(self, version: str) -> Definitions:
        """Return the kinds that a version of the Gateway API defines."""
        return Definitions(self.gateway_api_module, version, self.gateway_api_definitions)


def _component(name: str, table: dict[str, Any]) -> GoComponent:
    """Return a component; `main` in the file is the name of a file in commands/."""
    component = GoComponent(name=name, **_tuples(table))
    if not component.main:
        return component
    return replace(component, main=(HERE / "commands" / component.main).read_text(encoding="utf-8"))


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}


def _images(tables: dict[str, Any]) -> tuple[Image, ...]:
    return tuple(Image(**_tuples(table)) for table in tables.values())


def _substitutes(table: dict[str, Any], releases: dict[str, Release]) -> Substitutes:
    """The substitutes of all releases: those of one release may be used in any other."""
    unlisted = {module: set(found) for module, found in table["unlisted"].items()}
    for release in releases.values():
        for module, version in release.replace.items():
            unlisted.setdefault(module, set()).add(version)
    return Substitutes(
        together=tuple(tuple(family) for family in table["together"]),
        unlisted={module: tuple(sorted(found)) for module, found in unlisted.items()},
    )


@cache
def versions() -> Versions:
    """Read versions.toml once."""
    data = tomllib.loads((HERE / "versions.toml").read_text(encoding="utf-8"))
    releases = {name: Release(name=name, **table) for name, table in data["istio"]["releases"].items()}
    default = releases[data["istio"]["default"]]
    data["components"]["istio"].update(version=default.version, replace=default.replace)
    return Versions(
        go_minimum=tuple(int(part) for part in data["go"]["minimum"].split(".")),
        go_wheel=data["go"]["wheel"],
        components={name: _component(name, table) for name, table in data["components"].items()},
        substitutes=_substitutes(data["substitutes"], releases),
        releases=releases,
        default_release=default,
        oldest_release=data["istio"]["oldest"],
        envoy_lines=data["istio"]["envoy"],
        envoy_distribution=data["envoy"]["distribution"],
        envoy_version=data["envoy"]["version"],
        envoy_versions=tuple(data["envoy"]["versions"]),
        envoy_member=data["envoy"]["member"],
        gateway_api_module=data["gateway_api"]["module"],
        gateway_api_definitions=data["gateway_api"]["definitions"],
        root_packages=tuple(data["root_filesystem"]["packages"]),
        images=_images(data["images"]),
        ambient_binaries=data["ambient"]["binaries"],
        ambient_images=_images(data["ambient"]["images"]),
        recorded={name: Recorded(**table) for name, table in data["recorded"].items()},
    )


def recipe_key(*recipe: object) -> str:
    """Return a hash of 16 hex digits: equal recipes share an entry of the cache, others never do."""
    plain = json.dumps(recipe, sort_keys=True, default=_plain)
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    if isinstance(value, (GoComponent, Definitions, Image)):
        plain = asdict(value)
        if not plain.get("main", "set"):  # so that components without it keep the keys of earlier versions
            del plain["main"]
        return plain
    if isinstance(value, Path):
        return str(value)
    message = f"a recipe is made of plain data, not {type(value).__name__}"
    raise TypeError(message)
