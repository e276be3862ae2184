"""An Envoy of the user's own for Istio's proxies: its version, and its filters of Istio, by running it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_istio_egress.embedded.istio_manifest import filters_missing
from pytest_istio_egress.embedded.user_binary import UserBinary
from pytest_istio_egress.embedded.workshop import Workshop

VERSION = re.compile(r"version: (\w+)/([^/]+)/")  # what `envoy --version` prints: commit/version/...
EXTENSIONS = re.compile(r"\] {2,}([\w.]+): (.+)$", re.MULTILINE)  # a line of its log: kind of extension, their names
NOT_A_BOOTSTRAP = "{istio_egress: asks}"  # Envoy logs its extensions, then rejects this and ends
PATIENCE = 60.0  # seconds until it must have ended


@dataclass(frozen=True)
class About:
    """The version and commit of an Envoy; `extensions` are the names of all extensions that are linked into it."""

    version: str
    commit: str
    extensions: tuple[str, ...]


def fingerprint(binary: Path) -> str:
    """Return a hash of the content. Raises EmbeddedError where the path is not a file."""
    return _envoy(binary).fingerprint()


def ask(binary: Path) -> About:
    """Run an Envoy to read its version and extensions. Raises EmbeddedError where it does not print them."""
    envoy = _envoy(binary)
    version = VERSION.search(envoy.output("--version"))
    extensions = envoy.output("--disable-hot-restart", "--log-level", "info", "--config-yaml", NOT_A_BOOTSTRAP)
    names = {name.strip() for _, listed in EXTENSIONS.findall(extensions) for name in listed.split(",")}
    if not version or not names:
        raise envoy.error("does not print Envoy's version")
    return About(version[2], version[1], tuple(sorted(names)))


def _envoy(binary: Path) -> UserBinary:
    return UserBinary(binary, "proxy binary", "use an Envoy binary for this machine", "--version", PATIENCE)


def proxy_folder(shop: Workshop, binary: Path) -> Path:
    """Return a folder in the cache with a copy of the binary, `envoy`, and its version and extensions."""

    def make(into: Path) -> None:
        (into / "about.json").write_text(json.dumps(asdict(ask(binary))), encoding="utf-8")
        shutil.copyfile(binary, into / "envoy")
        (into / "envoy").chmod(0o755)

    return shop.step(f"proxy binary {binary.name}", "proxy-binary", fingerprint(binary), make, "copied")


def about(folder: Path) -> About:
    """Return the version and extensions of a binary in the cache."""
    found = json.loads((folder / "about.json").read_bytes())
    return About(**{**found, "extensions": tuple(found["extensions"])})


def proxy_notes(binary: Path, found: About) -> tuple[str, ...]:
    """Return the note on a user's own Envoy: its version, and the filters of Istio that it lacks."""
    missing = filters_missing(found.extensions)
    how = f"lacks {', '.join(missing)} (Istio is configured for this)" if missing else "has all of Istio's own filters"
    return (f"proxies run {binary}, Envoy {found.version} ({found.commit[:12]}), which {how}",)
