"""Asks the Go module proxy, as the user configured it, what it serves, and works out the replaces a module needs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_istio_egress.embedded.cache import no_space
from pytest_istio_egress.embedded.errors import EmbeddedError

PSEUDO = re.compile(r"^v\d+\.\d+\.\d+-(?:.*\.)?(\d{14})-[0-9a-f]{12}(?:\+incompatible)?$")


@dataclass(frozen=True)
class Go:
    """A `go` program; every command runs without cgo and without fetching another toolchain."""

    program: Path

    def environment(self) -> dict[str, str]:
        """Return the user's own environment with the settings that a pinned build needs."""
        return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": _flags()}

    def run(self, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run one short go command; the caller looks at its return code."""
        return subprocess.run(
            ["setpriv", "--pdeathsig", "TERM", str(self.program), *arguments],
            cwd=folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def _flags() -> str:
    """Keep the user's GOFLAGS but for -mod, which the wrapper modules need as `mod`."""
    kept = [flag for flag in os.environ.get("GOFLAGS", "").split() if not flag.startswith(("-mod=", "--mod="))]
    return " ".join([*kept, "-mod=mod", "-buildvcs=false"])


class ModuleProxy:
    """What the module proxy serves; `folder` holds a go.mod of our own, so that nobody else's is looked at."""

    def __init__(self, go: Go, folder: Path) -> None:
        self._go = go
        self._folder = folder
        (folder / "go.mod").write_text("module embedded\n\ngo 1.26\n", encoding="utf-8")

    def resolve(self, module: str, version: str) -> tuple[str, str] | None:
        """Return (version, time of its commit) that `module@version` stands for, or None if it is not served.

        Raises EmbeddedError when the proxy cannot be reached at all.
        """
        done = self._go.run("list", "-m", "-json", f"{module}@{version}", folder=self._folder)
        if done.returncode:
            if unreachable(done.stderr):
                raise EmbeddedError(
                    f"the Go module proxy cannot be reached: {last_line(done.stderr)}", "go env GOPROXY  # is it right?"
                )
            if "no space left" in done.stderr:
                raise no_space(self._folder)
            return None
        answer: dict[str, Any] = json.loads(done.stdout)
        return str(answer["Version"]), str(answer.get("Time", ""))

    def tagged(self, module: str) -> list[str]:
        """Return the tagged versions, oldest first."""
        done = self._go.run("list", "-m", "-versions", module, folder=self._folder)
        return done.stdout.split()[1:]

    def download(self, module: str, version: str) -> Path:
        """Fetch the module's source and return its folder. Raises EmbeddedError with the proxy's own words."""
        done = self._go.run("mod", "download", "-json", f"{module}@{version}", folder=self._folder)
        answer: dict[str, Any] = json.loads(done.stdout or "{}")
        if done.returncode or "Dir" not in answer:
            if "no space left" in done.stderr + str(answer.get("Error")):
                raise no_space(self._folder)
            raise EmbeddedError(f"{module}@{version} cannot be had: {answer.get('Error') or last_line(done.stderr)}")
        return Path(answer["Dir"])

    def go_mod(self, folder: Path) -> dict[str, Any]:
        """Return a module's go.mod as `go mod edit -json` shows it."""
        done = self._go.run("mod", "edit", "-json", str(folder / "go.mod"), folder=self._folder)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


def replaces_for(proxy: ModuleProxy, go_mod: dict[str, Any], staging_version: str | None) -> dict[str, str]:
    """Work out which of a module's requirements need another version put in their place.

    Replaces with a local folder (Kubernetes' staging modules) become the published module at `staging_version`;
    pseudo-versions that the proxy refuses become the nearest later version that it serves.
    """
    local = {
        entry["Old"]["Path"]: staging_version
        for entry in go_mod.get("Replace") or []
        if staging_version and entry["New"]["Path"].startswith(".")
    }
    named = {
        entry["Old"]["Path"]: entry["New"]["Version"]
        for entry in go_mod.get("Replace") or []
        if entry["New"].get("Version") and entry["New"]["Path"] == entry["Old"]["Path"]
    }
    pseudo = [
        (entry["Path"], entry["Version"])
        for entry in go_mod.get("Require") or []
        if PSEUDO.match(entry["Version"]) and entry["Path"] not in local | named
    ]
    with ThreadPoolExecutor(8) as pool:
        served = list(pool.map(lambda asked: proxy.resolve(*asked), pseudo))
    refused = [asked for asked, answer in zip(pseudo, served, strict=True) if answer is None]
    return {**named, **local, **{module: _nearest(proxy, module, version) for module, version in refused}}


def _nearest(proxy: ModuleProxy, module: str, pseudo: str) -> str:
    """Return the first tagged version after the refused commit, else the newest version that is served."""
    found = PSEUDO.match(pseudo)
    asked = found[1] if found else ""
    for version in proxy.tagged(module):
        if newer(version, pseudo) and (answer := proxy.resolve(module, version)) and _digits(answer[1]) >= asked:
            return version
    if latest := proxy.resolve(module, "latest"):
        return latest[0]
    raise EmbeddedError(f"the Go module proxy serves neither {module}@{pseudo} nor a later version of it")


def _digits(time: str) -> str:
    return re.sub(r"\D", "", time)[:14]


def newer(version: str, than: str) -> bool:
    """Compare the three numbers of two versions; a pre-release counts as the release it leads to."""
    return _numbers(version) >= _numbers(than)


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"v(\d+)\.(\d+)\.(\d+)", version)
    return tuple(int(part) for part in match.groups()) if match else (0, 0, 0)


def unreachable(stderr: str) -> bool:
    """Tell a proxy that gives no answer from one whose answer is no."""
    signs = ("dial tcp", "no such host", "connection refused", "i/o timeout", "TLS handshake", "proxyconnect")
    return any(sign in stderr for sign in signs)


def last_line(text: str) -> str:
    """Return the last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
