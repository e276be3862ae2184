"""Puts conformance/ and fixtures/ into the wheel, below the package; an editable install uses them where they are."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ShippedFolders(BuildHookInterface):  # type: ignore[type-arg]  # hatchling is imported untyped here
    """Adds the two top-level folders to standard wheels only: in an editable one a copy would go stale."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Extend the wheel's file list; `version` is hatch's word for the kind of wheel."""
        if version != "standard":
            return
        for folder in ("conformance", "fixtures"):
            source = Path(self.root) / folder
            for file in sorted(source.rglob("*")):
                if file.suffix in {".py", ".yaml"}:
                    target = Path("pytest_istio_egress/_shipped") / folder / file.relative_to(source)
                    build_data["force_include"][str(file)] = str(target)
