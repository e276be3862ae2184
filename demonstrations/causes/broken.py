"""The entries of broken.yaml, and what a case's manifests become by one of them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_NAMES = re.compile(r"(?<![\w.*-])[\w-]+(?=\.test(?![\w-]))|\b(?:other|dns)-client\b")


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One entry of broken.yaml, which says what its fields mean. `number` is its place in there."""

    number: int
    cause: str
    case: str
    says: Sequence[str]
    patch: str = ""
    live: str = ""
    outcome: str = "failure"

    @property
    def folder(self) -> str:
        """Where its copy of the case lies."""
        return f"broken{self.number:02}"

    @property
    def item(self) -> str:
        """Pytest's id of the copy."""
        return f"{self.folder}/{self.case.partition('/')[2]}"

    def own(self, text: str) -> str:
        """Give a text's hosts and workloads names of this cause's own.

        A gateway is not waited for: with the names of another cause it could answer as that one wants it.
        """
        return _NAMES.sub(rf"\g<0>-b{self.number:02}", text)

    def shared(self, text: str) -> str:
        """Undo `own`."""
        return text.replace(f"-b{self.number:02}", "")

    def documents(self, original: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return a case's documents as they are broken."""
        patches = [patch for patch in yaml.safe_load_all(self.own(self.patch)) if patch]
        kept = []
        for document in original:
            patch = next((patch for patch in patches if _same(patch, document)), None)
            if patch is None:
                kept.append(document)
                continue
            patches.remove(patch)
            if not patch.get("delete"):
                kept.append(_merged(document, patch))
        return [*kept, *(patch for patch in patches if "apiVersion" in patch)]


def _same(patch: dict[str, Any], document: dict[str, Any]) -> bool:
    return bool(patch["kind"] == document["kind"] and patch["metadata"]["name"] == document["metadata"]["name"])


def _merged(document: Any, patch: Any) -> Any:
    """Merge as RFC 7396 does."""
    if not isinstance(document, dict) or not isinstance(patch, dict):
        return patch
    merged = copy.copy(document)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name, {}), value)
    return merged


def load() -> list[Broken]:
    """Read broken.yaml."""
    entries = yaml.safe_load(Path(__file__).with_name("broken.yaml").read_text())
    return [Broken(number=number, **entry) for number, entry in enumerate(entries, 1)]
