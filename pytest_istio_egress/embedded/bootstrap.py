"""Istio's template for Envoy's bootstrap, without the extension of waypoints that only Istio's own Envoy has.

pilot-agent enables it in every waypoint, whatever its settings are; with upstream Envoy no waypoint would start.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_istio_egress.embedded.versions import Image, recipe_key
from pytest_istio_egress.embedded.workshop import Workshop

TEMPLATE = "envoy_bootstrap.json"
OF_ISTIO, OF_UPSTREAM = f"istio/{TEMPLATE}", f"bootstrap/{TEMPLATE}"
CONDITION, NEVER = "{{- if .metadata_discovery }}", "{{- if false }}"


def bootstrap_folder(shop: Workshop, istio: Path) -> Path:
    """Return the folder of the template; `istio` is the entry of the cache with Istio's own."""

    def make(into: Path) -> None:
        text = (istio / TEMPLATE).read_text(encoding="utf-8")
        (into / TEMPLATE).write_text(text.replace(CONDITION, NEVER), encoding="utf-8")
        (into / TEMPLATE).chmod(0o644)

    return shop.step("bootstrap of waypoints", "bootstrap", recipe_key(istio.name, CONDITION, NEVER), make, "made")


def with_bootstrap(image: Image) -> Image:
    """Return the image with this template in place of Istio's."""
    files = {path: OF_UPSTREAM if source == OF_ISTIO else source for path, source in image.files.items()}
    return replace(image, files=files)
