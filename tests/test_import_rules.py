"""The import rules of the package, read from the source (layers.py), and what a start of pytest loads."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from layers import MAY_IMPORT, NAME, PACKAGE, Import, all_imports, arrows, floors, imports_of, violations

IMPORTS = all_imports()
BESIDE = ("demonstrations", "benchmarks", "tests")
COMMANDS = {*BESIDE, *(path.stem for folder in BESIDE for path in (PACKAGE.parent / folder).rglob("*.py"))}
"""Modules that use the package, by their bare names, as they import each other."""


def test_imports_are_read_in_functions_but_not_under_type_checking() -> None:
    code = """
import a.b
from c import d
if TYPE_CHECKING:
    import unseen
else:
    import e
def later():
    with x:
        from f.g import h
"""
    assert set(imports_of(ast.parse(code))) == {"a.b", "c", "c.d", "e", "f.g", "f.g.h"}


def test_package_follows_its_import_rules() -> None:
    assert violations(IMPORTS) == []


def test_every_entry_at_the_top_has_a_rule() -> None:
    entries = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert entries - {"__init__", "_shipped"} == set(MAY_IMPORT)


def test_folders_do_not_import_each_other_in_a_circle() -> None:
    assert sum(map(len, floors(arrows(IMPORTS)))) == len(MAY_IMPORT)


@pytest.mark.parametrize(
    ("file", "name", "complaint"),
    [
        ("model/probe.py", f"{NAME}.cluster.api", "model may import nothing of ours"),
        ("verdict/record.py", f"{NAME}.report.results", "verdict may import model redaction"),
        ("report/matrix.py", "pytest", "only plugin may"),
        ("verdict/verdict.py", "kubernetes.client", "only cluster"),
        ("cli/clean.py", f"{NAME}.embedded.cluster", "only embedded"),
        ("plugin/worker.py", "_pytest.config", "only nobody may"),
    ],
)
def test_import_against_the_rules_is_reported(file: str, name: str, complaint: str) -> None:
    (line,) = violations([Import(Path(file), name)])
    assert line.startswith(f"{file} imports {name}")
    assert complaint in line


def test_circle_between_folders_is_reported() -> None:
    with pytest.raises(ValueError, match="in a circle: a, b"):
        floors({"a": {"b"}, "b": {"a"}, "c": set()})


def test_package_imports_none_of_the_commands_that_use_it() -> None:
    """They may import it, and each other; a wheel has none of them."""
    assert not {name for _, name in IMPORTS} & COMMANDS


DEMONSTRATIONS = PACKAGE.parent / "demonstrations"
SHARED = {f"demonstrations.{path.stem}" for path in DEMONSTRATIONS.glob("*.py")}
"""The modules that all demonstrations may import."""


def imported(paths: Iterable[Path]) -> set[str]:
    return {name for path in paths for name in imports_of(ast.parse(path.read_text(encoding="utf-8")))}


def modules_of_other_demonstrations(folder: Path) -> set[str]:
    """Return the bare names of the modules that are not in this folder."""
    others = {path.stem for path in DEMONSTRATIONS.glob("*/*.py") if path.parent != folder}
    return others - {path.stem for path in folder.glob("*.py")}


@pytest.mark.parametrize("folder", sorted(DEMONSTRATIONS.glob("[a-z]*/")), ids=lambda folder: folder.name)
def test_demonstration_imports_no_other_one(folder: Path) -> None:
    names = imported(folder.rglob("*.py"))
    qualified = {".".join(name.split(".")[:2]) for name in names if name.startswith("demonstrations.")}
    assert qualified <= SHARED
    assert not names & modules_of_other_demonstrations(folder)


def test_shared_modules_import_no_demonstration() -> None:
    names = imported(DEMONSTRATIONS.glob("*.py"))
    assert SHARED
    qualified = {".".join(name.split(".")[:2]) for name in names if name.startswith("demonstrations.")}
    assert qualified <= SHARED
    assert not names & modules_of_other_demonstrations(DEMONSTRATIONS)


def loaded(code: str) -> set[str]:
    """Run code in a fresh interpreter; return the top-level modules, and ours in full, that it loaded."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], check=True, capture_output=True, text=True
    )
    names = shown.stdout.splitlines()[-1].split()
    return {name if name.startswith(NAME) else name.partition(".")[0] for name in names}


HEAVY = {"kubernetes", "cryptography", "rich", "yaml", "tenacity", f"{NAME}.embedded", f"{NAME}.cluster"}


def test_plugin_loads_nothing_heavy() -> None:
    assert not loaded(f"import {NAME}.plugin") & HEAVY


UNUSED = {
    NAME,
    *(f"{NAME}.model{part}" for part in ("", ".addresses", ".case", ".mesh_facts", ".mesh_log", ".placement")),
    *(f"{NAME}.plugin{part}" for part in ("", ".hooks")),
    *(f"{NAME}.settings{part}" for part in ("", ".option", ".option_table", ".options")),
}
"""Our modules that a pytest run without --istio-egress imports: the options, and the words of their values."""


def test_ordinary_pytest_run_imports_the_options_and_no_library(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    of_pytest = f"[{str(tmp_path)!r}, '-q', '-p', 'no:cacheprovider', '-p', 'no:allure_pytest'"
    without = loaded(f"import pytest; assert pytest.main({of_pytest}, '-p', 'no:istio-egress']) == 0")
    with_plugin = loaded(f"import pytest; assert pytest.main({of_pytest}]) == 0")
    assert not {module for module in without if module.startswith(NAME)}
    ours = {module for module in with_plugin if module.startswith(NAME)}
    assert ours == UNUSED
    assert with_plugin - without - ours <= set(sys.stdlib_module_names)


def test_every_exported_name_is_loaded_when_it_is_used() -> None:
    package = importlib.import_module(NAME)
    assert all(getattr(package, name) is not None for name in package.__all__)
    assert not loaded(f"import {NAME}") & {f"{NAME}.model.outcome", f"{NAME}.model.probe"}
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        getattr(package, "other")  # noqa: B009  # a name that mypy does not know


@pytest.mark.parametrize("switch", ["--collect-only", "--help", "--markers"])
def test_listing_the_suite_loads_no_kubernetes_client(tmp_path: Path, switch: str) -> None:
    modules = loaded(
        f"import os, pytest; os.chdir({str(tmp_path)!r}); assert pytest.main(['--istio-egress', '-q', {switch!r}]) == 0"
    )
    assert f"{NAME}.plugin.collection" in modules
    assert "kubernetes" not in modules


def test_names_of_test_modules_are_unique() -> None:
    files = (file for file in Path(__file__).parent.rglob("test_*.py") if not (file.parent / "__init__.py").exists())
    names = Counter(file.name for file in files)
    assert [name for name, count in names.items() if count > 1] == [], "pytest imports test modules by their names"
