"""All timeouts are in one table, and one factor scales them."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from pytest_istio_egress.model.timeouts import Timeouts

PACKAGE = Path(__file__).parents[2] / "pytest_istio_egress"
FOLDERS = ("cluster", "pipeline", "run_target")
MODULES = sorted(
    [*(file for folder in FOLDERS for file in (PACKAGE / folder).rglob("*.py")), PACKAGE / "plugin" / "fixtures.py"]
)


def test_factor_scales_all_timeouts() -> None:
    scaled = Timeouts().scaled(3)
    assert all(getattr(scaled, field.name) == 3 * getattr(Timeouts(), field.name) for field in fields(Timeouts))


def literal_timeouts(tree: ast.AST) -> list[str]:
    """Return calls and parameters whose `timeout` is a literal number; 0 is no wait."""
    places = []
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and "timeout" in (node.arg or "") and _number(node.value):
            places.append(f"line {node.value.lineno}: {ast.unparse(node)}")
        if isinstance(node, ast.FunctionDef):
            parameters = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            places += [f"line {node.lineno}: {name.arg}" for name, value in parameters
                      if "timeout" in name.arg and _number(value)]  # fmt: skip
    return places


def _number(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and bool(node.value)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_module_has_no_literal_timeout(module: Path) -> None:
    assert literal_timeouts(ast.parse(module.read_text(encoding="utf-8"))) == []


def test_literal_timeout_is_found() -> None:
    code = "run(api, timeout=5.0)\ndef f(*, timeout: float = 3): ...\nrun(api, timeout=0)\n"
    assert len(literal_timeouts(ast.parse(code))) == 2
