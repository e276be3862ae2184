"""Puts what was kept of a case beside the report, one folder for each: `report-evidence/dns/test_x/slow/`."""

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
"""The name under which evidence travels in `report.user_properties`, from the worker that gathered it."""
ABOUT = "about-this-folder.txt"
"""A folder with this file is ours, and goes when the next run writes the same report."""
LONGEST = 80


def evidence_folder(report: Path | None, html: Path | None) -> Path | None:
    """Return the folder beside the report (or else the page); None without either, or where they are no files."""
    path = report or html
    if path is None or (path.exists() and not path.is_file()):
        return None
    return path.with_name(f"{path.stem}-evidence")


def why_not_ours(folder: Path) -> str | None:
    """Return why a folder can't take evidence, None where nothing speaks against it."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        return "it is there and is no folder"
    if folder.is_dir() and not (folder / ABOUT).exists() and any(folder.iterdir()):
        return "it holds something else than evidence of an earlier run"
    return None


class EvidenceFolder:
    """The evidence of one run, in the process that the user started."""

    def __init__(self, folder: Path, run: str) -> None:
        self.folder = folder
        self.run = run
        self.problem: str | None = None
        """Why some of it could not be written, in one line."""

    def begin(self) -> None:
        """Remove what an earlier run kept: it would look like this one's."""
        if why_not_ours(self.folder) is None and self.folder.exists():
            shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, case: str, files: Mapping[str, str]) -> str:
        """Write the evidence of a case; return its folder, relative to the report's, empty if that can't be done."""
        place = Path(*(_name(part) for part in parts_of(case)))
        try:
            if not (self.folder / ABOUT).exists():
                write_whole(self.folder / ABOUT, _about(self.run))
            for name, text in sorted(files.items()):
                write_whole(self.folder / place / _name(name), redact(text))
        except NotWrittenError as error:
            self.problem = str(error)
            return ""
        return (Path(self.folder.name) / place).as_posix()


def taken(report: Any) -> dict[str, str]:
    """Take the evidence out of a report's properties, so that nobody else has to carry it."""
    files: dict[str, str] = {}
    for name, value in report.user_properties:
        if name == EVIDENCE and isinstance(value, Mapping):
            files |= value
    report.user_properties = [(name, value) for name, value in report.user_properties if name != EVIDENCE]
    return files


def parts_of(case: str) -> list[str]:
    """Return area, module, function and parameter of a case's id, as names of folders."""
    path, _, names = case.removeprefix("conformance/").partition("::")
    function, _, parameter = names.partition("[")
    parts = [*path.removesuffix(".py").split("/"), *function.split("::"), parameter.removesuffix("]")]
    return [part for part in parts if part]


def _name(part: str) -> str:
    """Return a name that any file system takes; two that would become the same stay two."""
    plain = re.sub(r"[^\w.-]+", "_", part, flags=re.ASCII).lstrip(".")[:LONGEST]
    return plain if plain == part else f"{plain}-{hashlib.sha256(part.encode()).hexdigest()[:6]}"


def _about(run: str) -> str:
    return f"""What `pytest --istio-egress` kept of the cases of run {run} that did not hold: one folder for each.
The next run that writes the same report replaces this folder.

probe.json                what was sent, what came back, what every hop said of it
client-sidecar.log        the end of the sidecar's log; gateway.log and outside.log likewise, as they are
client-sidecar-config.json  what of the proxy's configuration concerns the hosts; gateway-config.json likewise
applied.yaml              what the case had applied, under the run's names
mesh.yaml                 the mesh's own configuration
pods.yaml events.txt      the pods and the events of the namespaces that had a part in it
istiod.log                where it was no probe that failed
not-collected.txt         what could not be had of all this, and why

Secrets, tokens, keys and certificates are taken out. Names are those of the run, not of the manifests.
"""
