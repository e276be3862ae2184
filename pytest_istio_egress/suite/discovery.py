"""Where the shipped cases lie and how their modules are imported; knows nothing of pytest."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_istio_egress.model.case import Case, case_of

ROOT = "conformance"
"""The first part of every shipped case's id."""
OUTCOMES = "outcomes.yaml"
"""The one YAML file at the top of the suite: the documented outcomes; manifests lie in the areas below."""
PACKAGE = Path(__file__).parents[1]


class SuiteMissingError(Exception):
    """The shipped cases are not where an installation has them."""


class CaseImportError(Exception):
    """A case module can't be imported; the message names the file and why."""


@dataclass(frozen=True)
class ShippedCase:
    """A test function of the suite under its stable id, `conformance/<area>/test_x.py::test_y`."""

    id: str
    file: Path
    function: Any
    case: Case | None
    """None: somebody forgot `@documented`."""


def suite_folder() -> Path:
    """Return the shipped cases: inside the installed package, or beside it in a checkout."""
    shipped = PACKAGE / "_shipped" / ROOT
    folder = shipped if shipped.is_dir() else PACKAGE.parent / ROOT
    if not folder.is_dir():
        raise SuiteMissingError(f"the shipped cases are not at {folder}: install pytest-istio-egress again")
    return folder


def fixtures_folder() -> Path:
    """Return the manifests of the clients and of the outside world, which travel with the cases."""
    return suite_folder().parent / "fixtures"


def case_files(suite: Path) -> list[Path]:
    """Return the case modules of all areas, by name."""
    return sorted(suite.glob("*/test_*.py"))


def manifest_files(suite: Path) -> list[Path]:
    """Return the manifests of all areas, by name."""
    return sorted(suite.glob("*/*.yaml"))


def id_of(path: Path, suite: Path) -> str:
    """Return the id of an area or a case module, the same in every repository."""
    return (Path(ROOT) / path.relative_to(suite)).as_posix()


def shipped_cases(suite: Path) -> Iterator[ShippedCase]:
    """Yield every test function of the suite, module by module in the order of the files."""
    for file in case_files(suite):
        try:
            module = import_case_module(file, suite)
        except Exception as error:
            raise CaseImportError(f"{file} can't be imported: {error!r}") from error
        for name, value in vars(module).items():
            if name.startswith("test_"):
                yield ShippedCase(f"{id_of(file, suite)}::{name}", file, value, case_of(value))


def import_case_module(file: Path, suite: Path) -> ModuleType:
    """Import a case module under a name that no other module has: two areas may both have a test_http.py."""
    name = "istio_egress_" + id_of(file.with_suffix(""), suite).replace("/", ".")
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
