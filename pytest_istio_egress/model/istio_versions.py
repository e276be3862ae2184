"""Istio's versions: which are supported, on which the cases have been seen, and how two are told apart."""

from __future__ import annotations

import re

SUPPORTED = ("1.24", "1.25", "1.26", "1.27", "1.28", "1.29", "1.30", "1.31")
SEEN = {"1.31": "1.31-dev, with upstream Envoy, on the embedded cluster"}
"""Where the cases were run for real; what is said of other versions is written from Istio's documents."""


def release(version: str) -> tuple[int, int] | None:
    """Return (major, minor) of a version such as 1.31-dev or v1.24.3, None where it names no release."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None


def older(version: str, than: str) -> bool:
    """Whether a version comes before a release; one that names no release (a commit, say) counts as current."""
    found, other = release(version), release(than)
    return found is not None and other is not None and found < other
