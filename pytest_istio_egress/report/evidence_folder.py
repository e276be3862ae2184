"""Writes evidence files beside the report, one folder per failed parameter: `report-evidence/dns/test_x/slow/`."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_istio_egress.redaction import redact
from pytest_istio_egress.report.atomic_write import NotWrittenError, write_whole

EVIDENCE = "istio-egress-evidence"
"""The name under which evidence travels in `report.user_properties`, from the worker that collected it."""
ABOUT = "about-this-folder.txt"
"""Marks a folder as ours: the next run that writes the same report replaces it."""
LONGEST = 80
"""Characters of a folder's name."""


def evidence_folder(report: Path | None, html: Path | None) -> Path | None:
    """Return the folder beside the report (else the HTML page); None without either, or where it is not a file."""
    path = report or html
    if path is None or (path.exists() and not path.is_file()):
        return None
    return path.with_name(f"{path.stem}-evidence")


def problem_of(folder: Path) -> str | None:
    """Return why a folder cannot take evidence, None where it can."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        return "it is not a folder"
    if folder.is_dir() and not (folder / ABOUT).exists() and any(folder.iterdir()):
        return "it contains other files than the evidence of an earlier run"
    return None


class EvidenceFolder:
    """The evidence files of one run, written by the process that the user started."""

    def __init__(self, folder: Path, run: str) -> None:
        self.folder = folder
        self.run = run
        self.problem: str | None = None
        """Why some of them could not be written, in one line."""

    def begin(self) -> None:
        """Remove the evidence of an earlier run: it would look like this one's."""
        if problem_of(self.folder) is None and self.folder.exists():
            shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, nodeid: str, files: Mapping[str, str]) -> str:
        """Write the files of a parameter; return their folder, relative to the report, empty if that fails."""
        place = Path(*(_name(part) for part in parts_of(nodeid)))
        try:
            if not (self.folder / ABOUT).exists():
                write_whole(self.folder / ABOUT, _about(self.run))
            for name, text in sorted(files.items()):
                write_whole(self.folder / place / _name(name), redact(text))
        except NotWrittenError as error:
            self.problem = str(error)
            return ""
        return (Path(self.folder.name) / place).as_posix()


def pop_evidence(report: Any) -> dict[str, str]:
    """Remove the evidence from a report's properties, and return it: other plugins need not carry it."""
    files: dict[str, str] = {}
    for name, value in report.user_properties:
        if name == EVIDENCE and isinstance(value, Mapping):
            files |= value
    report.user_properties = [(name, value) for name, value in report.user_properties if name != EVIDENCE]
    return files


def parts_of(nodeid: str) -> list[str]:
    """Return area, module, function and parameter of an id, as names of folders."""
    path, _, names = nodeid.removeprefix("conformance/").partition("::")
    function, _, parameter = names.partition("[")
    parts = [*path.removesuffix(".py").split("/"), *function.split("::"), parameter.removesuffix("]")]
    return [part for part in parts if part]


def _name(part: str) -> str:
    """Return a name that any file system accepts; different parts get different names."""
    plain = re.sub(r"[^\w.-]+", "_", part, flags=re.ASCII).lstrip(".")[:LONGEST]
    return plain if plain == part else f"{plain}-{hashlib.sha256(part.encode()).hexdigest()[:6]}"


def _about(run: str) -> str:
    return f"""Evidence of the failures and errors of `pytest --istio-egress`, run {run}: one folder per parameter.
The next run that writes the same report replaces this folder.

probe.json                the request, the response, what every hop observed
client-sidecar.log        the end of the sidecar's log; gateway.log and outside.log likewise
client-sidecar-config.json  the part of the proxy's configuration about these hosts; gateway-config.json likewise
applied.yaml              the applied manifests, with the run's names
mesh.yaml                 the mesh configuration
pods.yaml events.txt      the pods and events of the namespaces involved
istiod.log                istiod's log, where no probe failed
not-collected.txt         files that could not be collected, and why

Secrets, tokens, keys and certificates are removed. Names are those of the run, not of the manifests.
"""
