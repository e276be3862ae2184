"""The command `istio-egress images`: lists the images of a run, for a cluster that pulls from its own registry."""

from __future__ import annotations

import argparse

from pytest_istio_egress.model.placement import images_of
from pytest_istio_egress.suite.discovery import fixtures_folder, suite_folder


def register_images_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `images` to the command line; it sets `run`, which takes the arguments and returns the exit code."""
    images = commands.add_parser(
        "images", help="List the images of a run, one per line, to copy them (--istio-egress-image-registry)"
    )
    images.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    import yaml  # --help does not wait for it

    files = [file for folder in (fixtures_folder(), suite_folder()) for file in folder.rglob("*.yaml")]
    documents = [each for file in files for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    manifests = [each for each in documents if isinstance(each, dict) and "kind" in each]
    for image in sorted({image for each in manifests for image in images_of(each)}):
        print(image)
    return 0
