"""The entries of broken.yaml and broken_ambient.yaml, and how each changes the manifests of a test."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from pytest_istio_egress.model.result_names import FAILED
from pytest_istio_egress.verdict.diagnosis import CLAIMS_NOTHING

SIDECARS, AMBIENT = (Path(__file__).with_name(name) for name in ("broken.yaml", "broken_ambient.yaml"))
"""The entries for a mesh with sidecars, and those for an ambient mesh."""
_NAMES = re.compile(r"(?<![\w.*-])[\w-]+(?=\.test(?![\w-]))|\b(?:other|dns)-client\b")


class Judgement(StrEnum):
    """What a sentence says of a broken mesh, on a parameter that the entry does not name."""

    SAME = "the entry's own cause"
    OTHER = "another fact that is true of this mesh"
    NOTHING = "no cause"
    FALSE = "what is not true of this mesh"


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One entry of broken.yaml, whose head explains the fields. `number` is its place in the file, from 1."""

    number: int
    cause: str
    parameter: str
    phrases: Sequence[str]
    patch: str = ""
    live: str = ""
    result: str = FAILED
    alone: bool = False
    also: Sequence[str] = ()
    elsewhere: Sequence[str] = ()

    @property
    def folder(self) -> str:
        """The name of the folder for the copy of the test."""
        return f"broken{self.number:02}"

    @property
    def copy_id(self) -> str:
        """pytest's id of the parameter in the copy."""
        return f"{self.folder}/{self.parameter.partition('/')[2]}"

    @property
    def test_id(self) -> str:
        """pytest's id of its test in the copy, with all its parameters."""
        return self.copy_id.partition("[")[0]

    def is_true(self, sentence: str) -> bool:
        """Whether a sentence on another parameter is true of this mesh, or claims nothing."""
        return self.judged(sentence) is not Judgement.FALSE

    def judged(self, sentence: str) -> Judgement:
        """Return what a sentence on another parameter says of this mesh."""
        for judgement, phrases in (
            (Judgement.SAME, self.phrases[:1]),
            (Judgement.OTHER, (*self.also, *self.elsewhere)),
            (Judgement.NOTHING, CLAIMS_NOTHING),
        ):
            if any(phrase.lower() in sentence.lower() for phrase in phrases):
                return judgement
        return Judgement.FALSE

    def rename(self, text: str) -> str:
        """Give the hosts and workloads in a text names that only this entry uses.

        The proxies of the shared gateway are not waited for: a stale route of another entry must not match.
        """
        return _NAMES.sub(rf"\g<0>-b{self.number:02}", text)

    def restore_names(self, text: str) -> str:
        """Undo `rename`."""
        return text.replace(f"-b{self.number:02}", "")

    def documents(self, original: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the documents of the test's manifests with the patch applied."""
        patches = [patch for patch in yaml.safe_load_all(self.rename(self.patch)) if patch]
        broken = []
        for document in original:
            patch = next((patch for patch in patches if _same(patch, document)), None)
            if patch is None:
                broken.append(document)
                continue
            patches.remove(patch)
            if not patch.get("delete"):
                broken.append(_merged(document, patch))
        return [*broken, *(patch for patch in patches if "apiVersion" in patch)]


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


def load(file: Path = SIDECARS) -> list[Broken]:
    """Read the entries of a file."""
    entries = yaml.safe_load(file.read_text())
    return [Broken(number=number, **entry) for number, entry in enumerate(entries, 1)]
