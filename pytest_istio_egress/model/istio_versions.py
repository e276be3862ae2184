"""Supported versions of Istio, and the comparison of two versions."""

from __future__ import annotations

import re

SUPPORTED = ("1.24", "1.25", "1.26", "1.27", "1.28", "1.29", "1.30", "1.31")
"""The releases that the expected outcomes were written for; suite/release_runs.yaml has those that were run."""


def release(version: str) -> tuple[int, int] | None:
    """Return (major, minor) of a version such as 1.31-dev or v1.24.3, None where it is not a release of Istio."""
    match = re.match(r"v?(\d{1,2})\.(\d{1,3})(?!\d)", version)
    return (int(match[1]), int(match[2])) if match else None


def older(version: str, than: str) -> bool:
    """Whether a version comes before a release (1.30), or before a patch release (1.24.3) of the same or a later one.

    Raises ValueError where either is not a release of Istio. What is not a release, such as a commit, is neither older
    nor newer: the caller has to find out, or to ask. Without a patch a version is the newest of its release.
    """
    own, other = release(version), release(than)
    if own is None or other is None:
        raise ValueError(f"{version if own is None else than!r} is not a release of Istio such as 1.30.3")
    patch, wanted = _patch(version), _patch(than)
    return own < other or (own == other and patch is not None and wanted is not None and patch < wanted)


def _patch(version: str) -> int | None:
    match = re.match(r"v?\d+\.\d+\.(\d+)", version)
    return int(match[1]) if match else None
