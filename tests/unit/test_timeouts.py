"""All waits stand in one table, and one factor scales them."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from pytest_istio_egress.model.timeouts import Timeouts

PACKAGE = Path(__file__).parents[2] / "pytest_istio_egress"
WAITING = [
    PACKAGE / f"{name}.py" for name in ("staging", "asking", "judge", "egress", "pytest_fixtures", "requirements")
]
MODULES = sorted([*(PACKAGE / "cluster").glob("*.py"), *(PACKAGE / "target").glob("*.py"), *WAITING])


def test_one_factor_scales_all() -> None:
    scaled = Timeouts().scaled(3)
    assert all(getattr(scaled, field.name) == 3 * getattr(Timeouts(), field.name) for field in fields(Timeouts))


def literal_timeouts(tree: ast.AST) -> list[str]:
    """Return calls and parameters whose `timeout` is a number of their own; none at all (0) is no wait."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and "timeout" in (node.arg or "") and _number(node.value):
            found.append(f"line {node.value.lineno}: {ast.unparse(node)}")
        if isinstance(node, ast.FunctionDef):
            parameters = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            found += [f"line {node.lineno}: {name.arg}" for name, value in parameters
                      if "timeout" in name.arg and _number(value)]  # fmt: skip
    return found


def _number(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and bool(node.value)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_no_module_has_a_wait_of_its_own(module: Path) -> None:
    assert literal_timeouts(ast.parse(module.read_text(encoding="utf-8"))) == []


def test_a_wait_of_its_own_would_be_seen() -> None:
    code = "run(api, timeout=5.0)\ndef f(*, timeout: float = 3): ...\nrun(api, timeout=0)\n"
    assert len(literal_timeouts(ast.parse(code))) == 2
