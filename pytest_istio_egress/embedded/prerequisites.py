"""Looks before anything is started whether this machine can run a cluster, and says what mends it."""

from __future__ import annotations

from pathlib import Path

from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.progress import Progress


def meet_prerequisites(cache: Cache, progress: Progress, *, install_packages: bool) -> None:
    """Filled in below."""


def cni_plugins() -> Path:
    """Return the folder of the CNI plugins."""
    return Path("/usr/lib/cni")
