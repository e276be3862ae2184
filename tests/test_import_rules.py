"""Who may import whom: the rules that keep the layers apart, read from the source; and what a start loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pytest_istio_egress"
NAME = PACKAGE.name

WORDS = {"case", "probe", "outcome", "mesh_facts", "placement", "istio_versions"}
"""What a case is written with, and what is known of a mesh and of pods: they import nothing of ours."""

KNOW_PYTEST = {
    "plugin",
    "leading",
    "working",
    "collection",
    "longest_first",
    "scheduling",
    "failures",
    "pytest_fixtures",
    "recording",
    "report.ending",
    "report.live",
    "report.marking",
    "report.terminal",
    "target",  # for the StashKey alone
}
KNOW_EMBEDDED = {"target.embedded", "cli"}
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if "_shipped" not in path.parts
)

BESIDE = ("demonstrations", "benchmarks")
COMMANDS = {*BESIDE, *(path.stem for folder in BESIDE for path in (PACKAGE.parent / folder).rglob("*.py"))}
"""What shows and measures: modules by their bare names, as they import each other."""


def source(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield what is imported when the code runs, inside functions too; not what only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports(ast.Module(node.orelse, []))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name their module in full"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node)


def imported(module: str) -> set[str]:
    return set(imports(ast.parse(source(module).read_text(encoding="utf-8"))))


def ours(module: str) -> set[str]:
    return {name for name in imported(module) if name == NAME or name.startswith(f"{NAME}.")}


def knows(module: str, other: str) -> bool:
    return any(name == other or name.startswith(f"{other}.") for name in imported(module))


def in_package(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def test_imports_are_read_as_they_are() -> None:
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
    assert set(imports(ast.parse(code))) == {"a.b", "c", "c.d", "e", "f.g", "f.g.h"}


@pytest.mark.parametrize("module", sorted(WORDS))
def test_words_of_a_case_import_nothing_of_ours(module: str) -> None:
    assert ours(module) == set()


@pytest.mark.parametrize("module", MODULES)
def test_few_know_pytest(module: str) -> None:
    if module not in KNOW_PYTEST:
        assert not knows(module, "pytest")
    assert not knows(module, "_pytest")


@pytest.mark.parametrize("module", MODULES)
def test_few_know_the_embedded_cluster(module: str) -> None:
    if in_package(module, "embedded"):
        assert all(name == NAME or in_package(name, f"{NAME}.embedded") for name in ours(module))
    elif module not in KNOW_EMBEDDED:
        assert not knows(module, f"{NAME}.embedded")


@pytest.mark.parametrize("module", [module for module in MODULES if in_package(module, "cluster")])
def test_the_cluster_knows_nothing_above_it(module: str) -> None:
    allowed = {f"{NAME}.{word}" for word in ("cluster", "timeouts", *WORDS)}
    above = {name for name in ours(module) if name != NAME and not any(in_package(name, word) for word in allowed)}
    assert above == set()


@pytest.mark.parametrize(
    "module",
    ["collection", "longest_first", "worker_affinity", "scheduling", "options", "plugin", "leading", "working"],
)
def test_the_judge_stays_out_of_the_plugin(module: str) -> None:
    for other in ("judge", "cluster", "embedded"):
        assert not knows(module, f"{NAME}.{other}")


@pytest.mark.parametrize("module", MODULES)
def test_the_package_knows_none_of_the_commands_that_use_it(module: str) -> None:
    """They may import it, and what lies beside them; a wheel has none of them."""
    assert not imported(module) & COMMANDS


def loaded(code: str) -> set[str]:
    """Run code in a fresh interpreter; return the top-level modules, and ours in full, that it loaded."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], check=True, capture_output=True, text=True
    )
    names = shown.stdout.splitlines()[-1].split()
    return {name if name.startswith(NAME) else name.partition(".")[0] for name in names}


HEAVY = {"kubernetes", "cryptography", "rich", "yaml", "tenacity", f"{NAME}.embedded", f"{NAME}.cluster"}


def test_every_pytest_run_loads_little() -> None:
    assert not loaded(f"import {NAME}.plugin") & HEAVY


def test_an_ordinary_run_loads_little(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    modules = loaded(f"import pytest; assert pytest.main([{str(tmp_path)!r}, '-q', '-p', 'no:allure_pytest']) == 0")
    assert not modules & (HEAVY - {"rich"})
    assert f"{NAME}.plugin" in modules
    assert f"{NAME}.collection" not in modules


@pytest.mark.parametrize("switch", ["--collect-only", "--help", "--markers"])
def test_looking_at_the_suite_loads_no_kubernetes(tmp_path: Path, switch: str) -> None:
    modules = loaded(
        f"import os, pytest; os.chdir({str(tmp_path)!r}); assert pytest.main(['--istio-egress', '-q', {switch!r}]) == 0"
    )
    assert f"{NAME}.collection" in modules
    assert "kubernetes" not in modules
