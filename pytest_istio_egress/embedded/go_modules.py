"""The versions that the user's Go module proxy serves, and the replaces that a module needs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_istio_egress.embedded.cache import no_space
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.versions import Substitutes

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
    """The Go module proxy; `folder` gets an empty go.mod, so that Go reads none of a folder above it."""

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
                raise _no_proxy(done.stderr)
            if "no space left" in done.stderr:
                raise no_space(self._folder)
            return None
        answer: dict[str, Any] = json.loads(done.stdout)
        return str(answer["Version"]), str(answer.get("Time", ""))

    def served(self, asked: Sequence[tuple[str, str]]) -> list[tuple[str, str] | None]:
        """Return `resolve` of many modules at once, in their order."""
        if not asked:
            return []
        names = [f"{module}@{version}" for module, version in asked]
        done = self._go.run("list", "-m", "-e", "-json", *names, folder=self._folder)
        found: dict[tuple[str, str], tuple[str, str]] = {}
        for answer in _documents(done.stdout):
            problem = str(answer.get("Error", {}).get("Err", ""))
            if unreachable(problem):
                raise _no_proxy(problem)
            if not problem:
                name = str(answer["Path"]), str(answer.get("Query") or answer["Version"])
                found[name] = str(answer["Version"]), str(answer.get("Time", ""))
        if done.returncode and not found:
            raise EmbeddedError(f"go list -m failed: {last_line(done.stderr)}")
        return [found.get(name) for name in asked]

    def tagged(self, module: str) -> list[str]:
        """Return the tagged versions, oldest first."""
        done = self._go.run("list", "-m", "-versions", module, folder=self._folder)
        return done.stdout.split()[1:]

    def download(self, module: str, version: str) -> Path:
        """Fetch the module's source and return its folder. Raises EmbeddedError with the proxy's message."""
        done = self._go.run("mod", "download", "-json", f"{module}@{version}", folder=self._folder)
        answer: dict[str, Any] = json.loads(done.stdout or "{}")
        if done.returncode or "Dir" not in answer:
            if "no space left" in done.stderr + str(answer.get("Error")):
                raise no_space(self._folder)
            said = str(answer.get("Error") or last_line(done.stderr))
            raise unverified(said) or EmbeddedError(f"cannot download {module}@{version}: {said}")
        return Path(answer["Dir"])

    def go_mod(self, folder: Path) -> dict[str, Any]:
        """Return a module's go.mod as `go mod edit -json` shows it."""
        done = self._go.run("mod", "edit", "-json", str(folder / "go.mod"), folder=self._folder)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


def stated_replaces(go_mod: dict[str, Any], staging_version: str | None) -> dict[str, str]:
    """Return the replaces that a module's own go.mod states; Go reads those of the main module alone.

    Replaces with a local folder (Kubernetes' staging modules) become the published module at `staging_version`.
    """
    found = {}
    for entry in go_mod.get("Replace") or []:
        old, new = entry["Old"]["Path"], entry["New"]
        if staging_version and new["Path"].startswith("."):
            found[old] = staging_version
        elif new.get("Version") and new["Path"] == old:
            found[old] = new["Version"]
    return found


def refused(proxy: ModuleProxy, go_mod: dict[str, Any], stated: Collection[str]) -> dict[str, str]:
    """Return the requirements (module -> version) that the proxy does not serve; those in `stated` are left out."""
    required = [(entry["Path"], entry["Version"]) for entry in go_mod.get("Require") or []]
    asked = [(module, version) for module, version in required if module not in stated]
    return {module: version for (module, version), answer in zip(asked, proxy.served(asked), strict=True) if not answer}


def substitutes_for(proxy: ModuleProxy, refusals: Mapping[str, str], known: Substitutes) -> dict[str, str]:
    """Return the version to build in place of each one that is not served: the nearest that the proxy serves.

    Modules that go together get one version, even if only one of them is refused. Raises EmbeddedError where the
    proxy serves no other version.
    """
    found: dict[str, str] = {}
    for module, version in refusals.items():
        if module not in found:
            family = known.family(module)
            found |= dict.fromkeys(family, _nearest(proxy, module, version, known))
    return found


def _nearest(proxy: ModuleProxy, module: str, version: str, known: Substitutes) -> str:
    family = known.family(module)
    listed = {found for member in family for found in (*proxy.tagged(member), *known.unlisted.get(member, ()))}
    if latest := proxy.resolve(module, "latest"):
        listed.add(latest[0])
    candidates = sorted(listed - {version})
    answers = [proxy.served([(member, candidate) for candidate in candidates]) for member in family]
    times: dict[str, str] = {
        candidate: own[0][1] for candidate, *own in zip(candidates, *answers, strict=True) if all(own)
    }
    if not times:
        raise EmbeddedError(
            f"the Go module proxy serves no version of {' with '.join(family)}: neither {version} nor another one"
        )
    in_lines = len(family) > 1 or not PSEUDO.match(version)
    nearest: str = min(times, key=lambda candidate: _distance(candidate, times[candidate], version, in_lines=in_lines))
    return nearest


def _distance(candidate: str, time: str, asked: str, *, in_lines: bool) -> tuple[float, ...]:
    """Return the distance of a version from the requested one, as a sort key; later ones come before earlier ones.

    An earlier one of the same line (1.28, say) is nearer than a later one of the next. Not so for pseudo-versions,
    unless the module has a branch for each line: their number is only that of the tag before, so their time decides.
    """
    (major, minor, patch), (asked_major, asked_minor, asked_patch) = _numbers(candidate), _numbers(asked)
    pseudo = None if in_lines else PSEUDO.match(asked)
    later = newer(candidate, asked) and (not pseudo or _digits(time) >= pseudo[1])
    earlier = 0.5 if in_lines else 1.5
    apart = abs(minor - asked_minor) + (0 if later else earlier)
    return abs(major - asked_major), apart, abs(patch - asked_patch)


def _digits(time: str) -> str:
    return re.sub(r"\D", "", time)[:14]


def newer(version: str, than: str) -> bool:
    """Compare the three numbers of two versions; a pre-release counts as the release it leads to."""
    return _numbers(version) >= _numbers(than)


def _numbers(version: str) -> tuple[int, int, int]:
    match = re.match(r"v(\d+)\.(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2]), int(match[3])) if match else (0, 0, 0)


def _documents(text: str) -> Iterator[dict[str, Any]]:
    """Read one JSON document after the other, as `go list -json` prints them."""
    decoder, place = json.JSONDecoder(), 0
    while (start := text.find("{", place)) >= 0:
        answer, place = decoder.raw_decode(text, start)
        yield answer


def _no_proxy(stderr: str) -> EmbeddedError:
    return EmbeddedError(
        f"the Go module proxy cannot be reached: {last_line(stderr)}", "go env GOPROXY  # check this setting"
    )


def unverified(said: str) -> EmbeddedError | None:
    """Return one clear line if Go gave up because the checksum database has no hash of a module; else None."""
    found = re.search(r"verifying (?:module|go\.mod): (\S+?)(?:/go\.mod)?: reading \S+/lookup/\S+: 4\d\d", said)
    if not found:
        return None
    module = found[1].partition("@")[0]
    kept = "$GONOSUMDB," if os.environ.get("GONOSUMDB") else ""
    return EmbeddedError(
        f"the checksum database has no hash of {found[1]}: if you trust your module proxy, turn this check off",
        f"export GONOSUMDB={kept}{module}",
    )


def unreachable(stderr: str) -> bool:
    """Return whether the proxy did not respond, rather than that it does not serve the module."""
    signs = ("dial tcp", "no such host", "connection refused", "i/o timeout", "TLS handshake", "proxyconnect")
    return any(sign in stderr for sign in signs)


def last_line(text: str) -> str:
    """Return the last line that is not empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
