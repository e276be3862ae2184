"""Reads versions.toml: what the cluster is made of, as data, and the key under which each part is cached."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class GoComponent:
    """One wrapper module and the binaries built from it; `replace` maps a module to the version put in its place."""

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

    def at(self, version: str) -> GoComponent:
        """Return the same component at another version; the replaces stated for the pinned one do not carry over."""
        return self if version == self.version else replace(self, version=version, replace={})


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

    def tagged(self, istio: str) -> Image:
        """Put the Istio release into the name and the environment."""
        environment = {name: value.format(istio=istio) for name, value in self.environment.items()}
        return replace(self, name=self.name.format(istio=istio), environment=environment)


@dataclass(frozen=True)
class Versions:
    """The whole file."""

    go_minimum: tuple[int, ...]
    go_wheel: str
    components: dict[str, GoComponent]
    envoy_distribution: str
    envoy_version: str
    envoy_member: str
    gateway_api: Definitions
    root_packages: tuple[str, ...]
    images: tuple[Image, ...]


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}


@cache
def versions() -> Versions:
    """Read versions.toml once."""
    data = tomllib.loads((HERE / "versions.toml").read_text(encoding="utf-8"))
    return Versions(
        go_minimum=tuple(int(part) for part in data["go"]["minimum"].split(".")),
        go_wheel=data["go"]["wheel"],
        components={name: GoComponent(name=name, **_tuples(table)) for name, table in data["components"].items()},
        envoy_distribution=data["envoy"]["distribution"],
        envoy_version=data["envoy"]["version"],
        envoy_member=data["envoy"]["member"],
        gateway_api=Definitions(**data["gateway_api"]),
        root_packages=tuple(data["root_filesystem"]["packages"]),
        images=tuple(Image(**_tuples(table)) for table in data["images"].values()),
    )


def recipe_key(*recipe: object) -> str:
    """Hash what was asked for into 16 hex digits: equal recipes share a place in the cache, others never do."""
    plain = json.dumps(recipe, sort_keys=True, default=_plain)
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    if isinstance(value, (GoComponent, Definitions, Image)):
        return asdict(value)
    if isinstance(value, Path):
        return str(value)
    message = f"a recipe is made of plain data, not {type(value).__name__}"
    raise TypeError(message)
