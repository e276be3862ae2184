"""Lists the settings in Istio's source that neither settings.yaml nor other_settings.yaml has.

    python demonstrations/mesh_settings/unlisted_settings.py ISTIO API

ISTIO and API are folders with the modules istio.io/istio and istio.io/api, as in Go's module cache. Run it with the
source of a new release; its exit status is 1 where a setting is not listed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tried_settings import listed

_VARIABLE = re.compile(r'env\.Register\w*(?:\[\w+\])?\(\s*"(\w+)"|registerAmbient\(\s*"(\w+)"')
_READ_BY_ISTIOD = ("pilot/pkg", "pkg/features", "pkg/keepalive", "pkg/platform", "pkg/security", "pkg/bootstrap")
_MESSAGE = r"^message {} \{{\n(.*?)^\}}"
_FIELD = re.compile(r"^  (?:repeated )?(?:map<\w+, [\w.]+>|[\w.]+) (\w+) = \d+", re.MULTILINE)
_FIELD_OF_CHOICE = re.compile(r"^  oneof \w+ \{\n(.*?)^  \}", re.MULTILINE | re.DOTALL)


def variables(istio: Path) -> Iterator[str]:
    """Yield the environment variables that istiod registers."""
    for folder in _READ_BY_ISTIOD:
        for file in (istio / folder).rglob("*.go"):
            if not file.name.endswith("_test.go"):
                for names in _VARIABLE.findall(file.read_text(encoding="utf-8")):
                    yield next(filter(None, names))


def fields(api: Path, file: str, message: str) -> Iterator[str]:
    """Yield the fields of a message of the mesh configuration, by their names in YAML."""
    source = re.sub(
        r"^\s*//.*\n", "", (api / "mesh" / "v1alpha1" / file).read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    (body,) = re.findall(_MESSAGE.format(message), source, re.MULTILINE | re.DOTALL)
    choices = "".join(re.sub("^  ", "", choice, flags=re.MULTILINE) for choice in _FIELD_OF_CHOICE.findall(body))
    for name in _FIELD.findall(body) + _FIELD.findall(choices):
        yield re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def main() -> int:
    """Print the settings that are not listed."""
    istio, api = map(Path, sys.argv[1:3])
    known = listed()
    names = {*variables(istio), *fields(api, "config.proto", "MeshConfig")}
    names |= {f"defaultConfig.{name}" for name in fields(api, "proxy.proto", "ProxyConfig")}
    names -= {"defaultConfig"}
    unlisted = sorted(names - known)
    sys.stdout.writelines(f"{name}\n" for name in unlisted)
    sys.stdout.write(f"{len(names)} settings, {len(unlisted)} of them not listed\n")
    return int(bool(unlisted))


if __name__ == "__main__":
    sys.exit(main())
